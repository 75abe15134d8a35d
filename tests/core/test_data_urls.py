"""Data URLs are taken apart, and refused where they hold no file."""

from __future__ import annotations

import base64

import pytest

from pathplugins.core.data_urls import DataURL
from pathplugins.core.errors import PathPluginsError


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("data:image/png;base64,", "image/png"),
        ("DATA:application/x-hdf5;name=a.h5;BASE64,", "application/x-hdf5"),
        ("data:;base64,", ""),
    ],
)
def test_a_file_comes_back(head: str, kind: str) -> None:
    content = bytes(range(256))
    url = DataURL.parse(head + base64.b64encode(content).decode())
    assert (url.head, url.kind, url.content()) == (head, kind, content)


@pytest.mark.parametrize("text", ["data:image/png,abc", "http://host/a.png", "", "data:image/png;base64"])
def test_what_is_no_data_url_is_refused(text: str) -> None:
    with pytest.raises(PathPluginsError, match=r"cannot be read; write data:image/png;base64,\.\.\."):
        DataURL.parse(text)


@pytest.mark.parametrize("text", ["data:image/png;base64,!", "data:image/png;base64,abc", "data:image/png;base64,é"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(PathPluginsError, match=r"^data:image/png;base64,\.\.\. holds no base64"):
        DataURL.parse(text).content()
