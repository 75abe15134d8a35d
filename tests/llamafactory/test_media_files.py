"""Which files somebody who talks to a server may name."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.host


def test_only_files_below_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathplugins.core.errors import PathPluginsError
    from pathplugins.llamafactory.media_files import media_file

    root = tmp_path / "media"
    (root / "in").mkdir(parents=True)
    (root / "in" / "a.h5").touch()
    (tmp_path / "media_too.h5").touch()
    (root / "link.h5").symlink_to(tmp_path / "media_too.h5")
    monkeypatch.setenv("SAFE_MEDIA_PATH", str(root))
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.h5", str(root / "in" / "a.h5"), "media/in/a.h5", "in/../in/a.h5"):
        assert media_file(name) == root / "in" / "a.h5"
    for missing in ("b.h5", "x" * 5000):
        assert media_file(missing) == root / missing
    for name in ("../media_too.h5", str(tmp_path / "media_too.h5"), "link.h5", "/etc/passwd", "/etc/none"):
        with pytest.raises(PathPluginsError, match="does not lie below SAFE_MEDIA_PATH"):
            media_file(name)
    with pytest.raises(PathPluginsError, match="does not lie below"):
        media_file("a\0b")
    monkeypatch.setenv("ALLOW_LOCAL_FILES", "0")
    with pytest.raises(PathPluginsError, match="reads no local files"):
        media_file("in/a.h5")


def test_without_the_variable_it_is_the_folder_of_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    import llamafactory.api.common as theirs

    from pathplugins.llamafactory.media_files import media_root

    monkeypatch.delenv("SAFE_MEDIA_PATH", raising=False)
    known = getattr(theirs, "SAFE_MEDIA_PATH", None)
    assert known is None or media_root() == Path(known)
