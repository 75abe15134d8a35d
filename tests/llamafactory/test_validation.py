"""``pathplugins validate`` on the shipped files of LLaMA-Factory: everything that is wrong, in one report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.host


@pytest.fixture
def validate(
    quick: dict[str, Any], configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> Callable[..., tuple[int, dict[str, str]]]:
    """Exit code and what is wrong, by check; nothing is loaded."""

    def validate(config: str = "wsi_llava_stage2.yaml", **keys: Any) -> tuple[int, dict[str, str]]:
        from pathplugins.cli import main

        given = {**quick, "output_dir": tmp_path / "out", "dataset": "few_report", "eval_dataset": "null", **keys}
        given |= {"eval_strategy": '"no"', "load_best_model_at_end": False} if "stage2" in config else {}
        words = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in given.items()]
        monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", lambda *_, **__: pytest.fail("loads"))
        code = main(["validate", "--json", str(configs / config), *words])
        told = json.loads(capsys.readouterr().out)
        assert told["ok"] is (code == 0)
        return code, {check["about"]: check["said"] for check in told["checks"]}

    return validate


def test_a_file_that_trains_has_nothing_wrong(validate: Callable[..., Any], tmp_path: Path) -> None:
    code, said = validate()
    assert (code, {*said.values()}) == (0, {""})
    assert [*said][:3] == ["keys", "values", "infer_backend"]
    assert {"paths", "template", "data sets", "arguments", "stage", "learning rates", "output_dir", "samples"} <= {
        *said
    }
    assert not (tmp_path / "out").exists()


def test_keys_and_values_are_told_together(validate: Callable[..., Any]) -> None:
    code, said = validate(projecter_dropout=0.1, image_seq_length="many")
    assert code == 1
    assert "projector_dropout" in said["keys"]
    assert "image_seq_length" in said["values"]


def test_names_are_told_together(validate: Callable[..., Any]) -> None:
    code, said = validate(
        template="custom_vqa_lama3", dataset="few_reprot", deepspeed="zero9.json", vision_tower="nowhere.pth"
    )
    assert code == 1
    assert "custom_vqa_llama3" in said["template"]
    assert "few_report" in said["data sets"]
    assert "zero9.json: no such file" in said["DeepSpeed"]
    assert "nowhere.pth" in said["arguments"]


def test_names_outputs_rows_and_tokens_are_told_together(
    validate: Callable[..., Any], toy: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    rows = [toy.row(toy.data / "bags" / f"few{i}.h5", i % 4) for i in range(4)]
    toy.table("half", [*rows, {**rows[0], "h5_path": "bags/nowhere.h5", "slide_id": "nowhere"}])
    wrong = {"lr_mult": '{"no_such_part":2}', "cutoff_len": 24, "dataset": "half_report"}
    code, said = validate(**wrong, output_dir=tmp_path / "file" / "out")
    assert code == 1
    assert "no_such_part" in said["learning rates"]
    assert str(tmp_path / "file") in said["output_dir"]
    assert "nowhere.h5" in said["samples"] or "file" in said["samples"]
    code, said = validate(**{**wrong, "lr_mult": "{}"})
    assert "1 of 5 samples cannot be used: 1 x missing file" in said["samples"]
    assert "do not fit cutoff_len 24: set cutoff_len:" in said["the other samples"]


def test_other_models_are_refused(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pathplugins.cli import main

    (tmp_path / "text.yaml").write_text(f"model_name_or_path: {toy.llm}\nstage: sft\n")
    assert main(["validate", str(tmp_path / "text.yaml")]) == 2
    assert "names no model of this package" in capsys.readouterr().err
    (tmp_path / "text.yaml").write_text("- stage: sft")
    assert main(["validate", str(tmp_path / "text.yaml")]) == 2
    assert "text.yaml holds something else than keys and values" in capsys.readouterr().err
    (tmp_path / "text.yaml").write_text("stage: [")
    assert main(["validate", str(tmp_path / "text.yaml")]) == 2
    assert "cannot be read as YAML" in capsys.readouterr().err
