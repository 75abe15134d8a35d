"""What the XTuner adapter makes of a model directory and a dataset; run in its environment: JOB.json OUT.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from xtuner.utils import PROMPT_TEMPLATE

from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.model import PathologyLLaVAModel
from pathplugins.xtuner.parts import load_model


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Token ids, labels, loss and a greedy answer, through the adapter's dataset, collate function and model."""
    dataset = PathologyDataset(
        case["model"],
        data_path=case["data_path"],
        format=case["format"],
        format_options=case["format_options"],
        image_folder=case["image_folder"],
        prompt_template=PROMPT_TEMPLATE.llama3_chat,
        system=case["system"],
        max_length=case["max_length"],
    )
    rows = [dataset[index] for index in range(len(dataset))]
    model = PathologyLLaVAModel(load_model(case["model"], torch_dtype="float32")).eval()
    batch = collate(rows, case["model"])["data"]
    first = next(i for i, label in enumerate(rows[0]["labels"]) if label != -100)
    prompt = {**rows[0], "input_ids": rows[0]["input_ids"][:first], "labels": rows[0]["labels"][:first]}
    asked = collate([prompt], case["model"])["data"]
    del asked["labels"], asked["position_ids"]
    with torch.no_grad():
        loss = model(batch, mode="loss")["loss"].item()
        answer = model.llm.generate(**asked, max_new_tokens=8, do_sample=False, use_cache=True)[0, first:].tolist()
    return {
        "input_ids": [row["input_ids"] for row in rows],
        "labels": [row["labels"] for row in rows],
        "loss": loss,
        "answer": answer,
    }


if __name__ == "__main__":
    job, out = (Path(word) for word in sys.argv[1:3])
    torch.set_num_threads(1)
    out.write_text(json.dumps([measure(case) for case in json.loads(job.read_text())]))
