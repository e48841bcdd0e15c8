"""The demo of models that make pictures from noise: seeds, the way between two, and what is asked for."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from components.pages.demo.app import ASSETS, as_asked, asset_of, text_of
from components.pages.demo.models import Model
from components.pages.demo.worker import Worker
from components.samples.domain import Picture
from components.serving.guard import Guard
from components.serving.templates import template
from components.tasks.encoding import render

_HERE = Path(__file__).parent
_MOST = 2**53 - 1  # seeds that a page can hold exactly


def noise_app(models: Sequence[Model], note: str, host: str) -> ASGIApp:
    """The application.

    Args:
        models: all of one task, which asks for no source.
        note: what people should know of the choice of versions.
        host: that it will be bound to, as it was given.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    worker, card = Worker(), models[0].card
    page = template(_HERE, "noise.html").render(models=models, card=card, note=note, most=_MOST)

    @app.get("/")
    async def show() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/assets/{name}")
    async def asset(name: str) -> Response:
        return asset_of(ASSETS, name)

    @app.get("/made/{seed}/{towards}/{percent}/{asked}")
    async def made(seed: int, towards: int, percent: int, asked: str) -> dict[str, Any]:
        if not (0 <= seed <= _MOST and 0 <= towards <= _MOST and 0 <= percent <= 100):
            raise HTTPException(422, f"seeds are integers from 0 to {_MOST}, and the way from 0 to 100")
        condition = None if card.condition is None else as_asked(card.condition, asked)
        pictures, seconds = await worker.do(lambda: _timed(models, seed, towards, percent / 100, condition))
        weights = [model.card.weights_sha256 for model in models]
        return {"pictures": [text_of(picture) for picture in pictures], "weights": weights, "seconds": seconds}

    return Guard(app, host)


def _timed(
    models: Sequence[Model], seed: int, towards: int, share: float, condition: Picture | None
) -> tuple[list[Picture], float]:
    begin = time.perf_counter()
    made = []
    for model in models:
        conditions = None if condition is None else condition[None]
        picture = model.generator.make(
            seeds=[seed], towards=[towards], shares=[share], conditions=conditions, padded=False
        )
        made.append(render(model.card.target, picture)[0])
    return made, time.perf_counter() - begin
