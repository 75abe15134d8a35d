"""Converter: one record of ours to LLaMA-Factory's columns."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def record_converter(module: ModuleType) -> type:
    """Return the class that converts a record row to LLaMA-Factory's columns, made on its base class."""

    class RecordConverter(module.DatasetConverter):
        """One record: the last turn is the response, an image reference stays a path."""

        def __call__(self, example: dict[str, Any]) -> dict[str, Any]:
            turns = [{"role": turn["role"], "content": turn["text"]} for turn in example["conversations"]]
            system = turns.pop(0)["content"] if turns[0]["role"] == "system" else ""
            return {
                "_prompt": turns[:-1],
                "_response": turns[-1:],
                "_system": system,
                "_tools": "",
                "_images": list(example["images"]),
                "_videos": None,
                "_audios": None,
            }

    return RecordConverter
