"""Servers of captioning: the model, the client and the key of each stage."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown

from .client import Client, Count
from .pace import Pace

KEY_NAME = "OPENAI_API_KEY"


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """The servers of a run: one for all stages, and others for single stages."""

    base_url: str | None = None
    model: str | None = None
    stage_url: Mapping[str, str] = field(default_factory=dict)
    """Stage -> another server."""
    stage_model: Mapping[str, str] = field(default_factory=dict)
    """Stage -> another model."""
    stage_key_env: Mapping[str, str] = field(default_factory=dict)
    """Stage -> environment variable with the key of its server."""
    api_key_env: str | None = None
    """Environment variable with the key; None takes ``KEY_NAME`` if it is set."""
    requests_per_minute: float | None = None
    """Limit for each server; None is no limit."""
    tokens_per_minute: float | None = None
    timeout: float = 120
    """Seconds to wait for a reply."""
    retries: int = 6

    def __post_init__(self) -> None:
        least = {"retries": 0, "timeout": 0.001, "requests_per_minute": 0.001, "tokens_per_minute": 1}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise PathPluginsError(f"--{name.replace('_', '-')} must be at least {lowest:g}, got {value:g}")


def stage_clients(
    options: ServerOptions, stages: Sequence[str], count: Count, stop: threading.Event
) -> list[tuple[str, Client | None]]:
    """Return model and client of each stage; stages with the same server and key share a client and its limits.

    Args:
        options: The servers.
        stages: Names of the stages, in their order.
        count: Counts the requests of all clients.
        stop: Ends all waiting of the clients.

    Raises:
        PathPluginsError: an option names no stage, a stage has no model, or an environment variable holds no key.
    """
    for option, values in (
        ("--stage-url", options.stage_url),
        ("--stage-model", options.stage_model),
        ("--stage-key-env", options.stage_key_env),
    ):
        for name in values:
            if name not in stages:
                raise PathPluginsError(unknown(f"stage in {option}", name, stages))
    own = key_variable(options.api_key_env)
    clients: dict[tuple[str, str], Client] = {}
    found = list[tuple[str, Client | None]]()
    for name in stages:
        url, model = options.stage_url.get(name, options.base_url), options.stage_model.get(name, options.model)
        if url is None:
            found.append(("", None))
            continue
        if model is None:
            raise PathPluginsError(f"--model is needed for stage {name}: pass the name that URL/models lists")
        # a key goes only to the server it was given for
        key = key_in(options.stage_key_env.get(name, None if name in options.stage_url else own))
        if (url, key) not in clients:
            clients[url, key] = _client(options, url, key, count, stop)
        found.append((model, clients[url, key]))
    return found


def _client(options: ServerOptions, url: str, key: str, count: Count, stop: threading.Event) -> Client:
    pace = Pace(stop, requests_per_minute=options.requests_per_minute, tokens_per_minute=options.tokens_per_minute)
    return Client(url, key=key, pace=pace, count=count, timeout_s=options.timeout, retries=options.retries)


def key_variable(named: str | None) -> str | None:
    """Return the environment variable to take a key from: the one that is named, else ``KEY_NAME`` if it is set."""
    return named or (KEY_NAME if os.environ.get(KEY_NAME) else None)


def key_in(variable: str | None) -> str:
    """Return the key in an environment variable; empty without a variable.

    Raises:
        PathPluginsError: the variable holds none.
    """
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise PathPluginsError(
            f"the environment variable {variable} holds no key (it is unset, empty or garbled); set it with "
            f"export {variable}=..."
        )
    return key
