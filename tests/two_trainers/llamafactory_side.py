"""What LLaMA-Factory makes of a model directory and a dataset; run in its environment: JOB.json OUT.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer


def measure(case: dict[str, Any], root: Path) -> dict[str, Any]:
    """Token ids, labels, loss and a greedy answer, through the trainer's own pipeline."""
    info = {"data": {"file_name": case["data_path"], "formatting": case["format"], **case["dataset_info"]}}
    dataset_dir = root / case["name"]
    dataset_dir.mkdir()
    (dataset_dir / "dataset_info.json").write_text(json.dumps(info))
    options = {
        "model_name_or_path": case["model"],
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "dataset": "data",
        "dataset_dir": str(dataset_dir),
        "media_dir": case["image_folder"],
        "template": case["template"],
        "cutoff_len": case["max_length"],
        "output_dir": str(dataset_dir / "out"),
        "use_cpu": True,
        "report_to": "none",
    }
    model_args, data_args, training_args, finetuning_args, _ = get_train_args(options)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    model = load_model(module["tokenizer"], model_args, finetuning_args, is_trainable=True).float().eval()
    collator = SFTDataCollatorWith4DAttentionMask(template=template, model=model, label_pad_token_id=-100, **module)
    batch = collator([dict(row) for row in rows])
    prompt = dict(rows[0])
    first = next(i for i, label in enumerate(prompt["labels"]) if label != -100)
    asked = collator([{**prompt, "input_ids": prompt["input_ids"][:first], "attention_mask": [1] * first,
                       "labels": prompt["labels"][:first]}])  # fmt: skip
    asked.pop("labels")
    with torch.no_grad():
        loss = model(**batch).loss.item()
        answer = model.generate(**asked, max_new_tokens=8, do_sample=False)[0, first:].tolist()
    return {
        "input_ids": [row["input_ids"] for row in rows],
        "labels": [row["labels"] for row in rows],
        "loss": loss,
        "answer": answer,
    }


if __name__ == "__main__":
    job, out = (Path(word) for word in sys.argv[1:3])
    torch.set_num_threads(1)
    out.write_text(json.dumps([measure(case, out.parent) for case in json.loads(job.read_text())]))
