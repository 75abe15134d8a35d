"""Refusals: what a request is told that is not answered, in OpenAI's form, and with which status."""

from __future__ import annotations

from typing import Any

from pathplugins.commands.serve.engine import BusyError
from pathplugins.commands.serve.roots import MissingFileError, RefusedPathError
from pathplugins.core.errors import MissingDependencyError, PathPluginsError


class FieldError(PathPluginsError):
    """A field of a request that is not obeyed, or has a value that cannot be.

    Args:
        message: what is wrong with it.
        field: its name.
    """

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownModelError(FieldError):
    """A model that this server does not have."""


class TooLargeError(PathPluginsError):
    """More bytes than the server takes."""


class KeyRefusedError(PathPluginsError):
    """No API key, or a wrong one."""


class ClosingError(PathPluginsError):
    """The server ends, and begins no new answer."""


STATUS: dict[type[Exception], int] = {
    KeyRefusedError: 401,
    RefusedPathError: 403,
    MissingFileError: 404,
    UnknownModelError: 404,
    TooLargeError: 413,
    PathPluginsError: 400,
    MissingDependencyError: 501,
    BusyError: 503,
    ClosingError: 503,
}
"""Kind of error -> status of HTTP; of the nearest kind that is listed."""
CODES = {400: "invalid_request", 401: "invalid_api_key", 403: "path_not_allowed", 404: "not_found", 413: "too_large"}
CODES |= {500: "internal_error", 501: "not_installed", 503: "unavailable"}


def status_of(error: Exception) -> int:
    """Return the status of an error; 500 for one that is no fault of the request."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_body(status: int, message: str, field: str | None = None) -> dict[str, Any]:
    """Return what OpenAI's clients read of an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    code = CODES.get(status, str(status))
    return {"error": {"message": message, "type": kind, "param": field, "code": code}}


def body_of(error: Exception) -> dict[str, Any]:
    """Return the body for an error; one that is no fault of the request is told in the server's log alone."""
    status = status_of(error)
    message = str(error) if status != 500 else "the server failed on this request; its log says why"
    return error_body(status, message, getattr(error, "field", None))
