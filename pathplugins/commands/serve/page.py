"""Page: the routes of what a browser shows of the server: slides, their layers, and a conversation about them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pathplugins.commands.serve.overlays import Messages, Overlays
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.shown import in_names, shown
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.serve.tiles import OVERLAP_PX, TILE_PX, OpenSlides, tile
from pathplugins.commands.serve.viewer import HOW, has_viewer
from pathplugins.core.errors import PathPluginsError

if TYPE_CHECKING:
    from fastapi import FastAPI

FOLDER = Path(__file__).parent / "page"
POLICY = "; ".join(
    (
        "default-src 'none'",
        # the hash is that of nothing: the empty element that keeps OpenSeadragon from adding one
        "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        *("script-src 'self'", "connect-src 'self'", "img-src 'self' blob: data:"),
        *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    )
)
"""Content-Security-Policy: nothing from elsewhere, and no script that is not a file of ours."""
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
KEPT_S = 3600  #: a browser may keep a tile for so long; its address changes with the file


def add_page(app: FastAPI, state: ServerState) -> None:
    """Add the page at ``/``, its files below ``/page``, and what it asks for below ``/view``."""
    from starlette.responses import FileResponse
    from starlette.staticfiles import StaticFiles

    app.mount("/page", StaticFiles(directory=FOLDER), name="page")

    @app.api_route("/", methods=["GET", "HEAD"])
    def page() -> Any:
        return FileResponse(FOLDER / "index.html", headers={**HEADERS, "Cache-Control": "no-cache"})

    slides = OpenSlides()
    _add_pixels(app, state, slides)
    _add_layers(app, state, slides)


def _add_pixels(app: FastAPI, state: ServerState, slides: OpenSlides) -> None:
    """Add the list of files, what one is, and its pixels."""
    from starlette.responses import Response

    kept = {"Cache-Control": f"private, max-age={KEPT_S}"}

    @app.get("/view/about")
    def about() -> dict[str, Any]:
        return {
            "model": state.name,
            "reads": state.model.reads,
            "files": [{"name": file.name, "kind": file.kind} for file in state.roots.listing()],
            "viewer": None if has_viewer() else f"run `{HOW}` on the server",
        }

    @app.get("/view/open")
    def open_file(file: str) -> dict[str, Any]:
        with _told_by_name(state.roots):
            return _described(state, slides, file)

    @app.get("/view/tile")
    def one_tile(file: str, level: int, column: int, row: int) -> Any:
        with _told_by_name(state.roots), slides.slide(state.roots.resolve(file)) as shared:
            return Response(tile(shared, level, column, row), media_type="image/jpeg", headers=kept)

    @app.get("/view/image")
    def image(file: str) -> Any:
        from pathplugins.data.images import open_image

        out = io.BytesIO()
        with _told_by_name(state.roots):
            open_image(state.roots.resolve(file)).save(out, format="JPEG", quality=95, subsampling=0)
        return Response(out.getvalue(), media_type="image/jpeg", headers=kept)


def _add_layers(app: FastAPI, state: ServerState, slides: OpenSlides) -> None:
    """Add what lies over a file: tissue, patches, kept tokens, and where an answer looked."""
    overlays = Overlays(state, slides)

    @app.get("/view/tissue")
    def tissue(file: str) -> dict[str, Any]:
        with _told_by_name(state.roots):
            found = shown(state, slides, state.roots.resolve(file))
            if found.kind == "image" or found.canvas is None:
                raise PathPluginsError(f"{file}: tissue is looked for on slides")
            return overlays.tissue(found.canvas)

    @app.get("/view/patches")
    def patches(file: str) -> dict[str, Any]:
        with _told_by_name(state.roots):
            return overlays.patches(state.roots.resolve(file))

    @app.post("/view/kept")
    def kept(asked: dict[str, Any]) -> dict[str, Any]:
        with _told_by_name(state.roots):
            return overlays.kept(state.roots.resolve(_text(asked, "file")), _messages(asked))

    @app.post("/view/why")
    def why(asked: dict[str, Any]) -> dict[str, Any]:
        word = asked.get("word")
        if not (word is None or (isinstance(word, int) and not isinstance(word, bool))):
            raise PathPluginsError(f"word is {word!r}, expected the number of a word or null")
        with _told_by_name(state.roots):
            path = state.roots.resolve(_text(asked, "file"))
            return overlays.heat(path, _messages(asked), _text(asked, "answer"), word)


@contextmanager
def _told_by_name(roots: Roots) -> Iterator[None]:
    """Raise errors that call files what the page does, and tell no folder of the server."""
    try:
        yield
    except PathPluginsError as error:
        said = in_names(roots, str(error))
        if said == str(error):
            raise
        raise PathPluginsError(said) from error


def _described(state: ServerState, slides: OpenSlides, file: str) -> dict[str, Any]:
    """Return what the page shows of a file."""
    found = shown(state, slides, state.roots.resolve(file))
    described: dict[str, Any] = {
        "name": file,
        "kind": found.kind,
        "size": found.size,
        "mpp": found.mpp,
        "notes": [in_names(state.roots, note) for note in found.notes],
        "on": None,
        "image": None,
        "tiles": None,
    }
    if found.canvas is not None:
        name, status = state.roots.name_of(found.canvas), found.canvas.stat()
        described["on"] = name if found.canvas != found.path else None
        address = f"?file={quote(name, safe='')}&of={status.st_mtime_ns}-{status.st_size}"
        if found.kind == "image":
            described["image"] = f"view/image{address}"
        else:
            described["tiles"] = {"url": f"view/tile{address}", "size": TILE_PX, "overlap": OVERLAP_PX}
    return described


def _text(asked: dict[str, Any], name: str) -> str:
    if not _is_text(asked.get(name)):
        raise PathPluginsError(f"{name} is {asked.get(name)!r:.80}, expected a text")
    return asked[name]


def _is_text(given: Any) -> bool:
    """Return whether something is a text that can be written, as half a character of JSON cannot."""
    return isinstance(given, str) and not any("\ud800" <= letter <= "\udfff" for letter in given)


def _messages(asked: dict[str, Any]) -> Messages:
    """Return the turns of a request, each with the text of its role."""
    messages = asked.get("messages", [])
    turns = isinstance(messages, list) and all(
        isinstance(turn, dict) and _is_text(turn.get("role")) and _is_text(turn.get("content")) for turn in messages
    )
    if not turns:
        raise PathPluginsError("messages is a list of turns, each with role and content, two texts")
    return messages
