"""Configurations as people write them: keys given twice, and keys nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host


def test_an_unknown_key_is_answered_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llamafactory.hparams import parser

    path = tmp_path / "run.yaml"
    path.write_text("model_name_or_path: custom_llava\nsave_steps: 100\nvision_towr: x\nsave_steps: 30\n")
    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(path), "learning_rat=1"])
    with pytest.raises(PathPluginsError, match=r"(?s)'vision_towr'.*'vision_tower'.*'learning_rat'.*'learning_rate'"):
        parser.read_args()
    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(path), "~"])
    path.write_text("model_name_or_path: custom_llava\nsave_steps: 100\nlogging_steps: 5\nsave_steps: 30\n")
    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(path), "logging_steps=7"])
    assert parser.read_args() == {"model_name_or_path": "custom_llava", "save_steps": 30, "logging_steps": 7}
