"""Server: uvicorn on a socket that was taken before the model was loaded, ended without losing an answer."""

from __future__ import annotations

import socket
import threading
from typing import Any

from pathplugins.commands.serve.state import Requests
from pathplugins.core.errors import PathPluginsError

_PATIENCE_S = 5
"""At the end, for clients that neither finish their request nor take the last of their answer."""


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that holds an address; nobody can connect before the server listens.

    Raises:
        PathPluginsError: the address is taken, or none of this machine.
    """
    if not 0 <= port < 2**16:
        raise PathPluginsError(f"--port {port}: ports are 0 (a free one) to {2**16 - 1}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter for what no name of a machine can be
        raise PathPluginsError(
            f"--host {host}: {getattr(error, 'strerror', None) or error}; give 127.0.0.1, or an address of this machine"
        ) from error
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(address)
    except (OSError, OverflowError) as error:
        taken.close()
        said = getattr(error, "strerror", None) or error
        raise PathPluginsError(
            f"--host {host} --port {port}: {said}; give another --port, or --port 0 for a free one"
        ) from error
    return taken


def address_of(taken: socket.socket) -> str:
    """Return the URL of a socket."""
    host, port = taken.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(made: Any, taken: socket.socket, requests: Requests) -> None:
    """Serve an application until SIGTERM or SIGINT.

    The first one lets what runs be answered, while new requests get 503; the second one ends it at once.

    Args:
        made: of `pathplugins.commands.serve.app`.
        taken: of `bound`.
        requests: of the application's state.
    """
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            if requests.closing:
                self.force_exit = True
                super().handle_exit(sig, frame)
                return
            requests.closing = True
            threading.Thread(target=self._end, daemon=True).start()

        def _end(self) -> None:
            requests.close()
            self.should_exit = True

    config = uvicorn.Config(made, log_level="info", access_log=False, timeout_graceful_shutdown=_PATIENCE_S)
    Server(config).run(sockets=[taken])
