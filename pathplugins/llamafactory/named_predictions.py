"""``generated_predictions.jsonl``: each answer beside the bags or images that it is about."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

FILE = "generated_predictions.jsonl"
"""Written by LLaMA-Factory into ``output_dir``: prompt, answer and known answer of each sample."""


def name_predictions(folder: Path, dataset: Any, image_token: str) -> None:
    """Write the images of each sample into its line, and ``<image>`` for the hundreds of tokens that show one.

    Args:
        folder: ``output_dir``.
        dataset: the samples, tokenized, with the column ``images``; in the order of the lines.
        image_token: what the vocabulary calls a vision token.
    """
    tokens = re.compile(f"(?:{re.escape(image_token)})+")
    lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    if len(lines) != len(dataset):
        raise PathPluginsError(f"{folder / FILE} has {len(lines)} answers for {len(dataset)} questions; predict again")
    with replacing(folder / FILE) as temporary, temporary.open("w", encoding="utf-8") as file:
        for line, images in zip(lines, dataset["images"], strict=True):
            said = json.loads(line)
            told = {"images": images or [], **said, "prompt": tokens.sub(PLACEHOLDER, said["prompt"])}
            file.write(f"{json.dumps(told, ensure_ascii=False)}\n")
