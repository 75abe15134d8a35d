"""What trained is what was installed: no file of the trainer or of what it leans on has been changed (A33, A42)."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata

import pytest

pytestmark = pytest.mark.host


@pytest.mark.usefixtures("align", "tune", "zero3")
@pytest.mark.parametrize(("package", "files"), [("xtuner", 700), ("mmengine", 150), ("peft", 50)])
def test_files_are_as_installed(package: str, files: int) -> None:
    recorded = [file for file in importlib.metadata.files(package) or [] if file.hash is not None]
    assert len(recorded) > files
    changed = []
    for file in recorded:
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            changed.append(str(file))
    assert changed == []
