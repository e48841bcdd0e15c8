"""The study over HTTP: one page, and what it asks the server."""

import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import Field, ValidationError

from components.samples.schema import Section
from components.serving.guard import Bodies, Guard
from components.serving.templates import PAGE_STYLE, template
from components.study.config import Side
from components.study.study import Study
from components.study.votes import Busy, Vote

MAX_BODY = 4096  # bytes; the longest real one has about 150
_FOLDER = Path(__file__).parent
_TOKEN = re.compile(r"[0-9a-f]{32}")
_KEPT_SECONDS = 30 * 24 * 3600
_Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
_Position = Annotated[int, Field(ge=0, le=10_000)]


class Joining(Section):
    """What a page sends to join."""

    code: Annotated[str, Field(max_length=40)] | None = None


class Asking(Section):
    """What a page sends to be given the pair that is due: nothing."""


class Showing(Section):
    """A pair that is about to be on screen."""

    position: _Position
    name: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Answer(Section):
    """Which picture a participant takes for the real one."""

    position: _Position
    side: Side
    exposure_ms: _Milliseconds
    answer_ms: _Milliseconds


class _NoParticipant(Exception):  # noqa: N818 (a state of the browser)
    pass


def make_app(study: Study, host: str, names: Iterable[str] = ()) -> Guard:
    """The ASGI application of a study.

    Args:
        host: the address it will be bound to. names: by which else people reach it.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    cookie = f"study_{study.name}"
    page, bodies = template(_FOLDER, "page.html"), Bodies(most_held=256 * MAX_BODY)
    style = "\n".join(css.read_text(encoding="utf-8") for css in (PAGE_STYLE, _FOLDER / "study.css"))
    script = (_FOLDER / "study.js").read_text(encoding="utf-8")

    def token_of(request: Request) -> str:
        token = request.cookies.get(cookie, "")
        if not _TOKEN.fullmatch(token):
            raise _NoParticipant
        return token

    def sent(kind: type[Section]) -> Any:
        async def read(request: Request) -> Section:
            async with bodies.read(request, "application/json", MAX_BODY) as body:
                try:
                    return kind.model_validate_json(body)
                except ValidationError as error:
                    raise RequestValidationError(error.errors()) from error

        return Depends(read)

    @app.get("/")
    def index(request: Request) -> Response:
        answer = HTMLResponse(page.render(study.facts()))
        if not _TOKEN.fullmatch(request.cookies.get(cookie, "")):
            answer.set_cookie(
                cookie, secrets.token_hex(16), max_age=_KEPT_SECONDS, path="/", httponly=True, samesite="strict"
            )
        return answer

    @app.get("/style.css")
    def stylesheet() -> Response:
        return Response(style, media_type="text/css")

    @app.get("/study.js")
    def javascript() -> Response:
        return Response(script, media_type="text/javascript")

    @app.get("/api/state")
    def state(request: Request) -> dict[str, Any]:
        return study.state(token_of(request))

    @app.post("/api/join")
    def join(joining: Annotated[Joining, sent(Joining)], request: Request) -> Response:
        token = token_of(request)
        refusal = study.join(token, joining.code.strip().lower() if joining.code else None)
        return _error(409, refusal) if refusal else JSONResponse(study.state(token))

    @app.post("/api/pair", dependencies=[sent(Asking)])
    def pair(request: Request) -> Response:
        shown = study.show(token_of(request))
        return _error(409, "No pair is to be shown now.") if shown is None else JSONResponse(shown.__dict__)

    @app.get("/picture/{name}")
    def picture(name: str, request: Request) -> Response:
        found = study.picture(token_of(request), name)
        return _error(404, "No such picture.") if found is None else Response(found, media_type="image/png")

    @app.post("/api/shown")
    def shown(showing: Annotated[Showing, sent(Showing)], request: Request) -> Response:
        if not study.begin_exposure(token_of(request), showing.position, showing.name):
            return _error(409, "This pair has been shown already.")
        return Response(status_code=204)

    @app.post("/api/vote")
    def vote(answer: Annotated[Answer, sent(Answer)], request: Request) -> Response:
        token = token_of(request)
        feedback = study.answer(token, answer.position, Vote(answer.side, answer.exposure_ms, answer.answer_ms))
        if feedback is None:
            return _error(409, "This pair has not been shown yet.")
        return JSONResponse({"feedback": feedback or None, "state": study.state(token)})

    app.add_exception_handler(RequestValidationError, lambda *_: _error(422, "Not a request of the study's page."))
    app.add_exception_handler(_NoParticipant, lambda *_: _error(403, "Open the study's page first; it needs a cookie."))
    app.add_exception_handler(Busy, lambda *_: _error(503, "The study is busy; nothing is lost. Ask again."))
    return Guard(app, host, names)


def _error(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status, {"retry-after": "1"} if status == 503 else None)
