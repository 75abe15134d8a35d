"""App: the routes of the server, as FastAPI has them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pathplugins.commands.serve.asked_files import AskedFiles
from pathplugins.commands.serve.completions import Completions
from pathplugins.commands.serve.gate import COMPLETIONS, Gate
from pathplugins.commands.serve.metrics import Metrics
from pathplugins.commands.serve.page import add_page
from pathplugins.commands.serve.refusals import body_of, error_body, status_of
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.serve.upload_routes import UploadRoutes
from pathplugins.commands.serve.uploads import Uploads
from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.optional import require

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

EXTRA = "serve"
MODULES = ("fastapi", "python_multipart", "prometheus_client", "uvicorn")


def app(state: ServerState) -> FastAPI:
    """Return the application that answers about the files of ``state``; it ends the engine when it ends.

    Raises:
        MissingDependencyError: the extra ``serve`` is not installed.
    """
    require(*MODULES, extra=EXTRA)
    from fastapi import FastAPI
    from starlette.routing import Route

    uploads, metrics = Uploads(state.max_upload), Metrics(state.engine)
    files = AskedFiles(state.model, state.roots, uploads, state.slides)
    started = int(time.time())

    async def models(request: Request) -> Response:
        from starlette.responses import JSONResponse

        del request
        model = {"id": state.name, "object": "model", "created": started, "owned_by": "pathplugins"}
        return JSONResponse({"object": "list", "data": [model]})

    async def health(request: Request) -> Response:
        from starlette.responses import JSONResponse

        del request
        return JSONResponse({"status": "ok", "model": state.name, "reads": state.model.reads})

    async def counted(request: Request) -> Response:
        from starlette.responses import Response

        del request
        return Response(metrics.text(), headers={"content-type": metrics.content_type})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for each in (files, state.engine, uploads):
            each.close()

    made = FastAPI(
        title="pathplugins",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        routes=[
            Route(COMPLETIONS, Completions(state, files, metrics).create, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
            Route("/metrics", counted),
            *UploadRoutes(uploads).routes(),
        ],
    )
    made.add_middleware(Gate, state=state, metrics=metrics)
    _answer_errors(made)
    add_page(made, state)
    return made


def _answer_errors(made: FastAPI) -> None:
    """Have every error answered in OpenAI's form."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse

    async def ours(request: Request, error: Exception) -> Response:
        del request
        status = status_of(error)
        return JSONResponse(body_of(error), status, headers={"retry-after": "5"} if status == 503 else None)

    async def of_http(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}"
        return JSONResponse(error_body(error.status_code, message), error.status_code, headers=error.headers)

    async def of_fields(request: Request, error: Any) -> Response:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"][1:]]
        name = ".".join(place) or "body"
        return JSONResponse(error_body(400, f"{request.url.path}: {name}: {first['msg']}", name), 400)

    made.add_exception_handler(RequestValidationError, of_fields)
    for kind in (PathPluginsError, MissingDependencyError, Exception):
        made.add_exception_handler(kind, ours)
    made.add_exception_handler(HTTPException, of_http)
