"""Configurations as people write them: keys given twice, and keys nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_an_override_with_blanks_is_refused_by_name(
    run: Callable[..., Any], quick: dict[str, Any], tmp_path: Path, configs: Path
) -> None:
    """LLaMA-Factory hands its command line to torchrun cut at blanks: the words come as keys, JSON comes broken."""
    keys = {**quick, "dataset": "few_report", "default_system": "Be very brief.", "output_dir": tmp_path / "out"}
    env = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "1"}
    log = run("train", "wsi_llava_stage2.yaml", keys, env=env, rc=1).log
    assert "overrides: 'very', 'brief.' are no key=value; they are pieces of the value of default_system" in log
    assert f"write default_system into {configs / 'wsi_llava_stage2.yaml'}" in log
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ['lr_mult={"a": 0.5}', "seed=1 x"])
def test_pieces_are_looked_at_before_they_are_read(
    words: str, configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamafactory.hparams import parser

    from pathplugins.core.errors import PathPluginsError

    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(configs / "wsi_llava_stage2.yaml"), *words.split()])
    with pytest.raises(PathPluginsError, match=r"are no key=value; they are pieces of the value of (lr_mult|seed)"):
        parser.read_args()
    (tmp_path / "other.yaml").write_text("model_name_or_path: gpt2\nstage: sft\n")
    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(tmp_path / "other.yaml"), "x"])
    assert parser.read_args()["x"] is None, "the trainer answers for its own models"
