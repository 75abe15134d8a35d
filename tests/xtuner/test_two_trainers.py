"""The same model directory and the same data in both trainers: same tokens, same loss, same answer."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data.formats.drawn import read_drawn
from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT, SYSTEM_PROMPT
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm

SIDES = Path(__file__).parent.parent / "two_trainers"
ROOT = SIDES.parent.parent
WIDTH = 10
PLIP = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 24,
    "patch_size": 8,
}
CONNECTOR = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
GIGAPATH = {
    "in_chans": WIDTH,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 4,
    "segment_lengths": [8, 20],
    "dilated_ratios": [1, 2],
}


def other_python() -> Path:
    """Python of a LLaMA-Factory environment: ``make`` puts them into .venv, newest last."""
    named = os.environ.get("LLAMAFACTORY_PYTHON")
    found = [Path(named)] if named else sorted(ROOT.glob(".venv/llamafactory-*/bin/python"))
    if not found:
        pytest.fail("no LLaMA-Factory environment: run `make env`, or name its python in LLAMAFACTORY_PYTHON")
    return found[-1]


def pallava(root: Path, llm: Path, mode: str) -> dict[str, Any]:
    """Images of several sizes, two turns, the image in the middle of a text, one row without an image."""
    root = root / mode
    root.mkdir()
    records, _ = read_drawn(root / "images", images=4, seed=3)
    names = [Path(record.images[0]).name for record in records]
    talks = [
        [("human", "<image>\nWhat is this?"), ("gpt", "The image shows tumour.")],
        [("human", "Look:\n<image>\nand answer."), ("gpt", "Necrosis."), ("human", "Sure?"), ("gpt", "Yes, it is.")],
        [("human", "What is necrosis?"), ("gpt", "Dead tissue.")],
        [("human", "Describe the image.\n<image>"), ("gpt", "Inflammation with many small nuclei.")],
    ]
    lines = []
    for number, talk in enumerate(talks):
        turns = [{"from": speaker, "value": text} for speaker, text in talk]
        image = {"image": names[number]} if number != 2 else {}
        lines.append(json.dumps({"id": f"sample {number}", "conversations": turns, **image}))
    (root / "train.jsonl").write_text("\n".join(lines))
    parts = {"vision_model_name": "plip", "mm_projector_type": "scale_invariant", "vision_config": PLIP}
    parts |= {"vision_feature_select_mode": mode, "image_seq_length": 6, "projector_config": CONNECTOR}
    spec = ComposeSpec(llm=str(llm), random_vision_seed=1, **parts)
    return {
        "name": f"pallava {mode}",
        "model": str(compose(spec, root / "pallava_model")),
        "format": "llava",
        "data_path": str(root / "train.jsonl"),
        "image_folder": str(root / "images"),
        "system": PATCH_SYSTEM_PROMPT,
        "template": "patch_vqa_llama3",
        "format_options": {},
        "dataset_info": {},
    }


def wsi(root: Path, llm: Path, mode: str) -> dict[str, Any]:
    """Two bags of other sizes, one beyond the budget where nothing is drawn, and two questions."""
    root = root / mode
    root.mkdir()
    lines = ["h5_path,caption,question,answer,slide_id,dataset"]
    for rows in (5, 13):
        cells = np.stack([np.arange(rows) // 4, np.arange(rows) % 4], 1)
        side = BagAttributes(
            slide_id=f"s{rows}",
            encoder="none",
            patch_size=256,
            patch_size_level0=512,
            mpp=0.5,
            level0_mpp=0.25,
            level0_width=51_200,
            level0_height=25_600,
        )
        features = np.random.default_rng(rows).standard_normal((rows, WIDTH)).astype(np.float32)
        write_bag(root / f"s{rows}.h5", [features], cells * 512, side)
        lines.append(f"s{rows}.h5,A slide.,What is the grade?,Grade {rows}.,s{rows},mine")
    (root / "train.csv").write_text("\n".join(lines) + "\n")
    parts = {"vision_config": GIGAPATH, "vision_feature_select_mode": mode}
    parts["image_seq_length"] = 20 if mode == "random_sample" else 8
    spec = ComposeSpec(llm=str(llm), random_vision_seed=1, **parts)
    return {
        "name": f"wsi {mode}",
        "model": str(compose(spec, root / "wsi_model")),
        "format": "wsi_csv",
        "data_path": str(root / "train.csv"),
        "image_folder": str(root),
        "system": SYSTEM_PROMPT,
        "template": "custom_vqa_llama3",
        "format_options": {"mode": "vqa"},
        "dataset_info": {"subset": "vqa"},
    }


@pytest.mark.host
def test_tokens_loss_and_answer_are_equal(tmp_path: Path, environment: dict[str, str], prepared: Any) -> None:
    llm = build_tiny_llm(tmp_path / "llm", [SYSTEM_PROMPT, PATCH_SYSTEM_PROMPT], vocabulary=700, tied=False)
    chosen = ((pallava, "none"), (pallava, "prumerge_adaptive"), (wsi, "random_sample"), (wsi, "prompt_topk"))
    cases = [{**make(tmp_path, llm, mode), "max_length": 700} for make, mode in chosen]
    (tmp_path / "job.json").write_text(json.dumps(cases))
    measured = []
    for name, python in (("llamafactory", other_python()), ("xtuner", Path(prepared.python))):
        words = [python, SIDES / f"{name}_side.py", tmp_path / "job.json", tmp_path / f"{name}.json"]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        measured.append(json.loads((tmp_path / f"{name}.json").read_text()))
    for case, theirs, ours in zip(cases, *measured, strict=True):
        assert theirs["input_ids"] == ours["input_ids"], case["name"]
        assert theirs["labels"] == ours["labels"], case["name"]
        assert any(label != -100 for row in ours["labels"] for label in row)
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5), case["name"]
        assert theirs["answer"] == ours["answer"], case["name"]
        assert len(set(ours["answer"])) > 0
