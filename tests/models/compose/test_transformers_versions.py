"""What one Transformers version writes, the others read: environments beside this one, where there are any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor

from pathplugins.core.versions import release

ROOT = Path(__file__).resolve().parents[3]


def others() -> list[Path]:
    """Interpreters beside this one that have the oldest and the newest Transformers."""
    found = {}
    for path in ROOT.glob(".venv/*/lib/python3*/site-packages/transformers-*.dist-info"):
        python = path.parents[3] / "bin" / "python"
        if python.is_file() and python.parents[1] != Path(sys.prefix):
            found[release(path.name.split("-")[1])] = python
    return [found[version] for version in sorted({min(found), max(found)})] if found else []


ANSWER = """
import json, sys, torch, transformers
from pathplugins.models.custom_llava.auto import register
register()
from transformers import AutoModelForImageTextToText, AutoProcessor
options = {"output_loading_info": True, "torch_dtype": torch.float32}
model, info = AutoModelForImageTextToText.from_pretrained(sys.argv[1], **options)
processor = AutoProcessor.from_pretrained(sys.argv[1])
inputs = processor("What <image> is it?", [sys.argv[2]])
with torch.no_grad():
    logits = model.eval()(**inputs).logits[0, -1]
print(json.dumps({
    "version": transformers.__version__,
    "wrong": [list(info[name]) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")],
    "ids": inputs["input_ids"][0].tolist(),
    "logits": logits.tolist(),
    "template": processor.tokenizer.chat_template,
    "scale": float(model.multi_modal_projector.scale),
}))
"""


def answer_of(python: Path, directory: Path, bag: Path) -> dict[str, Any] | None:
    """What another environment makes of a directory; None where it has not what this package needs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [str(python), "-c", ANSWER, str(directory), str(bag)]
    run = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if run.returncode and "ModuleNotFoundError" in run.stderr:
        return None
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("python", others(), ids=lambda python: python.parents[1].name)
def test_another_version_reads_what_this_one_saved(
    python: Path,
    vlm: Path,
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    tmp_path: Path,
) -> None:
    model, processor, bag = load(vlm), AutoProcessor.from_pretrained(vlm), write_h5("versions", 23)
    torch.nn.init.constant_(model.multi_modal_projector.scale_logit, 0.3)
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<one>"]})
    processor.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    inputs = processor("What <image> is it?", [bag])
    got = answer_of(python, tmp_path, bag)
    if got is None:
        pytest.skip(f"{python.parents[1].name} lacks a package")
    assert got["wrong"] == [[], [], []], got["version"]
    assert got["ids"] == inputs["input_ids"][0].tolist()
    assert got["template"] == processor.tokenizer.chat_template
    assert got["scale"] == pytest.approx(model.multi_modal_projector.scale.item(), abs=1e-6)
    torch.testing.assert_close(
        torch.tensor(got["logits"]), model(**inputs).logits[0, -1].detach(), atol=1e-4, rtol=1e-4
    )


def test_this_version_reads_what_it_saved(vlm: Path, load: Callable[..., Any], tmp_path: Path) -> None:
    """The same without other environments; sharded, and saved a second time."""
    model = load(vlm)
    model.save_pretrained(tmp_path / "1", max_shard_size="100KB")
    again = load(tmp_path / "1")
    again.save_pretrained(tmp_path / "2")
    third = load(tmp_path / "2")
    assert all(torch.equal(third.state_dict()[name], value) for name, value in model.state_dict().items())
    assert third.config.to_dict()["projector_config"] == model.config.to_dict()["projector_config"]
