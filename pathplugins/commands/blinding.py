"""What a model sees instead of its picture, to find out whether its answers come from there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.questions import Question
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.data.records import IMAGE_PLACEHOLDER

REAL = "real"
CONDITIONS = {
    REAL: "its own picture",
    "zeroed": "zeros in place of the vision tokens",
    "shuffled": "the picture of another question",
    "mean": "the mean vision token of all pictures in place of each",
    "none": "the question alone",
}
"""Name -> what the model is shown."""

_NAME = "mean_token.npy"


def shown(condition: str, questions: Sequence[Question]) -> list[Question]:
    """Return the questions as they are asked under a condition: with other pictures, without, or as they are.

    Raises:
        PathPluginsError: ``shuffled`` with a single picture.
    """
    if condition == "none":
        return [question._replace(prompt=_without(question.prompt), images=()) for question in questions]
    if condition != "shuffled":
        return [*questions]
    pictures = list(dict.fromkeys(image for question in questions for image in question.images))
    if len(pictures) < 2:
        raise PathPluginsError(
            f"all questions are about {pictures[0]}, so that there is no other picture to show; leave shuffled out of "
            "--conditions"
        )
    random.Random(0).shuffle(pictures)
    other = dict(zip(pictures, [*pictures[1:], pictures[0]], strict=True))  # a cycle: none stands for itself
    swapped = []
    for question in questions:
        images = tuple(other[image] for image in question.images)
        swapped.append(question._replace(images=images, line={**question.line, "images": [*images]}))
    return swapped


@contextmanager
def blinded(model: LoadedModel, condition: str, mean: Callable[[], Any]) -> Iterator[None]:
    """Make a model see zeros or the mean token while the block runs; under other conditions it sees as it does.

    Args:
        model: of `load_model`.
        condition: one of `CONDITIONS`.
        mean: gives the mean token [H], asked for under ``mean`` only.
    """
    core = _core(model)
    if condition == "zeroed":
        core.ablate_vision = True
        try:
            yield
        finally:
            core.ablate_vision = False
    elif condition == "mean":
        token, sees = mean(), core.get_image_features

        def same_everywhere(*args: Any, **inputs: Any) -> Any:
            features, counts = sees(*args, **inputs)  # [sum of tokens, H]
            return token.to(features).expand_as(features), counts

        core.get_image_features = same_everywhere
        try:
            yield
        finally:
            del core.get_image_features
    else:
        yield


def mean_token(model: LoadedModel, questions: Sequence[Question], folder: Path, *, write: bool) -> Any:
    """Return the mean vision token of all pictures, float32 [H], each picture with its first question.

    It is computed once and kept in ``folder``, so that a run that goes on goes on with the same.

    Args:
        model: of `load_model`.
        questions: as they are asked under ``real``.
        folder: where it is kept.
        write: keep it, for one of several processes.
    """
    import numpy as np
    import torch

    if (folder / _NAME).is_file():
        return torch.from_numpy(np.load(folder / _NAME))
    core, processor = _core(model), model.processor
    first = {question.images: question for question in reversed(questions)}
    total, count = torch.zeros((), dtype=torch.float64), 0
    with torch.no_grad():
        for images, question in first.items():
            inputs = processor([question.prompt], [images]).to(model.model.device)
            features, _ = core.get_image_features(**inputs)
            total = total + features.double().sum(dim=0).cpu()
            count += len(features)
    mean = (total / count).float()
    if write:
        with replacing(folder / _NAME) as path, path.open("wb") as stream:
            np.save(stream, mean.numpy())
    return mean


def _without(prompt: str) -> str:
    return prompt.replace(f"{IMAGE_PLACEHOLDER}\n", "").replace(IMAGE_PLACEHOLDER, "")


def _core(model: LoadedModel) -> Any:
    """Return our model without the adapter around it."""
    from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration

    return next(part for part in model.model.modules() if isinstance(part, CustomLlavaForConditionalGeneration))
