"""Names of images without folders and suffixes."""

from __future__ import annotations

import pytest

from pathplugins.data_tools.cleaning.names import name, stem


@pytest.mark.parametrize(
    ("image", "file", "bare"),
    [
        ("a/b/one.JPG", "one.JPG", "one"),
        ("c:\\x\\two.v1.png", "two.v1.png", "two.v1"),
        ("PMC12_fig.1", "PMC12_fig.1", "PMC12_fig.1"),
        ("three", "three", "three"),
    ],
)
def test_names(image: str, file: str, bare: str) -> None:
    assert (name(image), stem(image)) == (file, bare)
