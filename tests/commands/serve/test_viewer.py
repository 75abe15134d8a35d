"""The viewer of slides: fetched whole, or not at all."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathplugins.cli import main
from pathplugins.commands.serve import viewer
from pathplugins.core.errors import PathPluginsError


@pytest.fixture
def no_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An npm registry that serves another archive under the right name."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "openseadragon" / "-").mkdir(parents=True)
    (folder / "openseadragon" / "-" / "openseadragon-6.1.1.tgz").write_bytes(b"another archive")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_this_checkout_has_it_with_its_licence() -> None:
    if not viewer.has_viewer():
        pytest.skip(f"`make env` could not fetch OpenSeadragon from npm; run `{viewer.HOW}`")
    assert "6.1.1" in (viewer.FOLDER / viewer.SCRIPT).read_text(encoding="utf-8")[:400]
    assert "Redistribution and use in source and binary forms" in (viewer.FOLDER / "LICENSE.txt").read_text()


def test_the_server_says_how_to_get_it(
    minded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("fastapi", "prometheus_client", "uvicorn"):
        pytest.importorskip(module)
    monkeypatch.setattr("pathplugins.commands.serve.serve", lambda made, taken, requests: None)
    for there, wanted in ((False, "shows no slides until the server has its viewer: run `pathplugins get-viewer`"),
                          (True, "")):  # fmt: skip
        monkeypatch.setattr("pathplugins.commands.serve.has_viewer", lambda there=there: there)
        assert main(["serve", str(minded), "--port", "0", "--device", "cpu"]) == 0
        said = capsys.readouterr().err
        assert wanted in said
        assert ("viewer" in said) is not there


@pytest.mark.usefixtures("no_npm")
def test_another_archive_is_refused_wherever_it_comes_from(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.tgz").write_bytes(b"mine")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", registry)
    for source in (None, f"{registry}openseadragon/-/openseadragon-6.1.1.tgz", str(tmp_path / "mine.tgz")):
        with pytest.raises(PathPluginsError, match=r"its SHA-512 is .*nothing was installed"):
            viewer.get_viewer(source, tmp_path / "viewer")
    assert not (tmp_path / "viewer").exists()


@pytest.mark.usefixtures("no_npm")
def test_what_cannot_be_fetched_says_how_to_do_without_a_network(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{registry}nowhere")
    with pytest.raises(PathPluginsError, match=r"cannot be fetched from http.*404.*--from openseadragon-6.1.1.tgz"):
        viewer.get_viewer(folder=tmp_path / "viewer")
    with pytest.raises(PathPluginsError, match="no such file"):
        viewer.get_viewer(str(tmp_path / "no.tgz"), tmp_path / "viewer")


def test_npm_is_asked_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(
        '#!/bin/sh\nprintf "npm error code E403\\nnpm error 403 $*\\nnpm error     at X (y.js)\\n" >&2\nexit 1\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(PathPluginsError, match=r"from npm \(403 pack .*openseadragon@6.1.1\); without"):
        viewer.get_viewer(folder=tmp_path / "viewer")
