"""Options of what a config names, judged by our words before Python's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown

F = TypeVar("F", bound=Callable[..., Any])


def options_of(what: str) -> Callable[[F], F]:
    """Make a function refuse options that it does not have, and name those it lacks; for what a config calls.

    Args:
        what: where in a config the options stand, e.g. ``dataset``.
    """

    def wrap(function: F) -> F:
        signature = inspect.signature(function)
        known = [name for name in signature.parameters if name != "self"]

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            problems = [unknown("option", name, known) for name in options if name not in known]
            given = {*options, *signature.bind_partial(*args).arguments}
            problems += [
                f"{name} is missing"
                for name, parameter in signature.parameters.items()
                if parameter.default is parameter.empty and name not in given
            ]
            if problems:
                raise PathPluginsError(f"{what}: {'; '.join(problems)}; correct the config")
            return function(*args, **options)

        return call  # type: ignore[return-value]

    return wrap
