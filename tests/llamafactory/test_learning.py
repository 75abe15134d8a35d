"""It learns, and the answers come from the slide."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.host

ASK = """
import csv, json, sys
from transformers import AutoModelForImageTextToText, AutoProcessor  # and nothing of ours

folder, data = sys.argv[1:]
processor = AutoProcessor.from_pretrained(folder)
model = AutoModelForImageTextToText.from_pretrained(folder).eval()
rows = list(csv.DictReader(open(data + "/val.csv")))
answers = {}
for ablated in (False, True):
    model.ablate_vision = ablated
    answers[ablated] = []
    for first in range(0, len(rows), 32):
        batch = rows[first : first + 32]
        texts = [
            processor.tokenizer.apply_chat_template(
                [{"role": "user", "content": "<image>\\n" + row["question"]}],
                tokenize=False,
                add_generation_prompt=True,
            )
            for row in batch
        ]
        inputs = processor(text=texts, images=[[f"{data}/{row['h5_path']}"] for row in batch])
        ids = model.generate(**inputs, max_new_tokens=16, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        answers[ablated] += [text.strip() for text in processor.tokenizer.batch_decode(ids, skip_special_tokens=True)]
report = {"seeing": answers[False], "blind": answers[True], "prompt": texts[0], "class": type(model).__name__}
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def answers(
    prepared: Any, environment: dict[str, str], toy: Any, merged: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the merged model says about new slides, in a process of its own that never imports us itself."""
    program = tmp_path_factory.mktemp("ask") / "ask.py"
    program.write_text(ASK)
    line = [prepared.python, str(program), str(merged), str(toy.data)]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_answers_come_from_the_slide(toy: Any, answers: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with (toy.data / "val.csv").open() as file:
        wanted = [row["answer"] for row in csv.DictReader(file)]
    share = {
        name: sum(said == right for said, right in zip(answers[name], wanted, strict=True)) / len(wanted)
        for name in ("seeing", "blind")
    }
    with capsys.disabled():
        shown = f"{share['seeing']:.3f}, without vision {share['blind']:.3f}"
        sys.stdout.write(f"\naccuracy on {len(wanted)} held-out bags: {shown}\n")
    assert share["seeing"] >= 0.95, answers["seeing"]
    assert share["blind"] <= 0.45, answers["blind"]
    assert set(answers["blind"]) & set(wanted), "blind, it still speaks as it was taught"


def test_merged_model_asks_as_it_was_trained(answers: dict[str, Any]) -> None:
    from pathplugins.data.prompts import SYSTEM_PROMPT

    assert answers["class"] == "CustomLlavaForConditionalGeneration"
    start, end = "<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"
    system = start.format("system") + SYSTEM_PROMPT + end
    user = start.format("user") + "<image>\nWhich tissue dominates this slide?" + end
    assert answers["prompt"] == "<|begin_of_text|>" + system + user + start.format("assistant")


def test_sanity_loss_is_logged_beside_the_loss_and_far_above_it(stage3: Any) -> None:
    seeing, blind = stage3.logged("eval_loss"), stage3.logged("eval_sanity_check_loss")
    assert blind.keys() == seeing.keys() == {32, 64}
    assert blind[64] > 3 * seeing[64]
    assert blind[64] > 0.3
