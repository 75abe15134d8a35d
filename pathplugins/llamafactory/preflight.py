"""A look at every tokenized sample before the first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pathplugins.core.errors import BadSamplesError
from pathplugins.data.records import first_shown
from pathplugins.llamafactory.mm_plugin import image_tokens
from pathplugins.models.custom_llava.questions import question_marks, question_problem
from pathplugins.models.selectors import SELECTORS


def check_tokenized(trainer_inputs: dict[str, Any], processor: Any) -> None:
    """Raise `BadSamplesError` when truncation took vision tokens or whole answers, or a question is missing.

    LLaMA-Factory cuts a sample at ``cutoff_len`` wherever that falls: vision tokens lost there fail in the first
    forward that meets them, and a sample without a label left trains on nothing. A token selector that looks at the
    question would fail in the first forward of a sample that has none.

    Args:
        trainer_inputs: holds ``train_dataset`` and ``eval_dataset`` (a dataset, a dict of them, None), with the columns
            ``input_ids``, ``labels`` and ``images``.
        processor: knows how many tokens an image takes.
    """
    sets = {"train": trainer_inputs.get("train_dataset"), "eval": trainer_inputs.get("eval_dataset")}
    flat = {}
    for name, dataset in sets.items():
        flat.update(dataset if isinstance(dataset, dict) else {name: dataset})
    problems = []
    for name, dataset in flat.items():
        if dataset is not None and hasattr(dataset, "__len__"):  # a stream has no end to look at
            problems += [f"{name} sample {row}: {text}" for row, text in _problems(dataset, processor)]
    if problems:
        shown = "\n".join(first_shown(problems))
        raise BadSamplesError(
            f"{len(problems)} samples do not fit cutoff_len (raise it or lower image_seq_length) or ask nothing:"
            f"\n{shown}"
        )


def _problems(dataset: Any, processor: Any) -> list[tuple[int, str]]:
    found, first = [], 0
    asks = SELECTORS.get(processor.image_processor.vision_feature_select_mode).needs_prompt
    marks = question_marks(processor.tokenizer) if asks else None
    columns = dataset.select_columns(["input_ids", "labels", "images"]).with_format("arrow")
    for table in columns.iter(batch_size=1000):
        vision = _count_per_row(table["input_ids"], lambda ids: ids == processor.image_token_id)
        supervised = _count_per_row(table["labels"], lambda labels: labels != -100)
        for row, images in enumerate(table["images"].to_pylist()):
            tokens = [image_tokens(image, processor) for image in images or []]
            wanted = sum(tokens)
            if vision[row] != wanted:
                names = ", ".join(str(image)[:200] for image in images or ["no image"])
                found.append((first + row, f"{vision[row]} of {wanted} vision tokens of {names} are left"))
            elif supervised[row] == 0:
                said = f"nothing of the answer is left after {wanted} vision tokens and the question"
                found.append((first + row, f"{said}, or the template learns nothing of it"))
            elif marks is not None:
                ids = table["input_ids"][row].as_py()
                if problem := question_problem(ids, processor.image_token_id, tokens, marks):
                    found.append((first + row, problem))
        first += len(table)
    return found


def _count_per_row(column: Any, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """How many entries of each row of a list column pass ``test``, [rows] int64."""
    lists = column.combine_chunks()
    passed = np.concatenate([[0], np.cumsum(test(lists.flatten().to_numpy(zero_copy_only=False)))])
    ends = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))])
    return passed[ends[1:]] - passed[ends[:-1]]
