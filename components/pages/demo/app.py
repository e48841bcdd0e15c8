"""The demo's web application: one page, its files, and what it asks for as somebody draws."""

import base64
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from components.pages.demo.models import Easel
from components.pages.demo.samples import Samples
from components.pages.demo.upload import MAX_BYTES, decode_upload
from components.pages.demo.worker import Worker
from components.samples.domain import Domain, Picture
from components.serving.guard import Bodies, Guard
from components.serving.templates import PAGE_STYLE, template

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
# The names of all that is served; a request's path is looked up here and never reaches the disk.
_FILES = {path.name: path for path in (PAGE_STYLE, *_HERE.glob("*.css"), *_HERE.glob("*.js"))}
ASSETS = {name: (path.read_bytes(), _TYPES[path.suffix]) for name, path in _FILES.items()}
_RAW = "application/octet-stream"
# Sources are sent as raw bytes, so that exactly what was drawn is translated.
_INKS = (("black", (0, 0, 0)), ("white", (255, 255, 255)), ("grey", (128, 128, 128)))


def demo_app(easels: Sequence[Easel], note: str, host: str) -> ASGIApp:
    """The application.

    Args:
        easels: what can be drawn, and what translates it; one for each direction.
        note: what people should know of the choice of versions.
        host: that it will be bound to, as it was given.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # FastAPI's own pages load scripts from elsewhere
    # Separate, so that slow uploads do not delay the translation of strokes.
    worker, uploads = Worker(), Bodies(most_held=5 * MAX_BYTES)
    strokes = Bodies(most_held=64 * max(easel.bytes for easel in easels), seconds=5)
    by_direction = {easel.name: easel for easel in easels}
    page = _page(easels, note)

    def find(direction: str) -> Easel:
        if direction not in by_direction:
            raise HTTPException(404, f"there is {' and '.join(by_direction)}")
        return by_direction[direction]

    @app.get("/")
    async def show() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/assets/{name}")
    async def asset(name: str) -> Response:
        return asset_of(ASSETS, name)

    @app.post("/translate/{direction}")
    async def translate(direction: str, request: Request, asked: str = "") -> dict[str, Any]:
        easel = find(direction)
        condition = None if easel.attributes is None else as_asked(easel.attributes, asked)
        async with strokes.read(request, _RAW, easel.bytes) as body:
            if len(body) != easel.bytes:
                raise HTTPException(422, f"{len(body)} bytes; a source has {easel.bytes}")
            source = np.frombuffer(body, np.uint8).reshape(easel.shape)
            made, seconds = await worker.do(lambda: _timed(easel, source, condition))
        return {
            "pictures": [text_of(picture) for picture in made],
            "weights": [model.card.weights_sha256 for model in easel.models],
            "seconds": seconds,
        }

    @app.post("/upload/{direction}")
    async def upload(direction: str, request: Request) -> dict[str, Any]:
        easel = find(direction)
        async with uploads.read(request, _RAW, MAX_BYTES) as body:
            made = await worker.do(lambda: decode_upload(body, easel.source))
        return {"source": text_of(made)}

    @app.get("/sample/{direction}")
    async def sample(direction: str) -> dict[str, Any]:
        easel = find(direction)
        samples = easel.samples
        if not isinstance(samples, Samples):
            raise HTTPException(404, samples)
        number = random.randrange(len(samples))
        found = await worker.do(lambda: samples.read(number))
        truth = None if found.truth is None else text_of(easel.render(found.truth[None])[0])
        shown = None if found.condition is None else found.condition.tolist()
        return {
            "key": found.key,
            "number": number + 1,
            "source": text_of(found.source),
            "truth": truth,
            "attributes": shown,
        }

    return Guard(app, host)


def _page(easels: Sequence[Easel], note: str) -> str:
    inks = {easel.name: _inks(easel) for easel in easels}
    return template(_HERE, "page.html").render(easels=easels, note=note, inks=inks, max_bytes=MAX_BYTES)


def _inks(easel: Easel) -> list[dict[str, Any]]:
    """What can be painted with: the name, the colour, and the bytes of a pixel of the source."""
    domain = easel.source
    if domain.kind == "label":
        named = zip(domain.classes, domain.palette, strict=True)
        inks = [{"name": name, "colour": colour, "bytes": [i]} for i, (name, colour) in enumerate(named)]
        if domain.ignore is not None and domain.ignore >= len(inks):
            inks.append({"name": "not labelled", "colour": (0, 0, 0), "bytes": [domain.ignore]})
        return inks
    return [{"name": name, "colour": colour, "bytes": colour} for name, colour in _INKS[: 2 if easel.drawn else 3]]


def _timed(easel: Easel, source: Picture, condition: Picture | None) -> tuple[list[Picture], float]:
    begin = time.perf_counter()
    made = easel.translate(source, condition)
    return made, time.perf_counter() - begin


def as_asked(condition: Domain, text: str) -> Picture:
    """What condition.js says of the choices of a page, as samples hold it.

    Raises:
        HTTPException: 422, it is no class, or not 0 or 1 for each attribute.
    """
    classes = len(condition.classes)
    if condition.exclusive:
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < classes):
            raise HTTPException(422, f"give a class from 0 to {classes - 1}")
        return np.array(int(text), np.uint8)
    if len(text) != classes or not set(text) <= {"0", "1"}:
        raise HTTPException(422, f"give 0 or 1 for each attribute, {classes} digits without spaces")
    return np.array([int(digit) for digit in text], np.uint8)


def asset_of(assets: Mapping[str, tuple[bytes, str]], name: str) -> Response:
    """A file of a page, by its name.

    Raises:
        HTTPException: 404, there is none.
    """
    if name not in assets:
        raise HTTPException(404, "not found")
    data, kind = assets[name]
    return Response(data, headers={"content-type": kind})


def text_of(picture: Picture) -> str:
    """A picture's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(picture).tobytes()).decode()
