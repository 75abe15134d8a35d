"""Zero-shot classification: the class whose prompts are most similar to a picture, by CLIP.

Axes: B pictures, C classes, D features.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.walk import files_below
from pathplugins.data.images import BadImage, open_image

from .model import LOGIT_SCALE, Clip, central_square

TEMPLATE = "an H&E image of {}."  #: prompt of a class that is given by name alone
IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"))


@dataclass(frozen=True)
class Picture:
    """A picture to classify."""

    path: Path
    truth: str | None
    """Its class, where a folder is named after it."""


@dataclass(frozen=True)
class Prediction:
    """Probabilities of one picture, or the reason why there are none."""

    picture: Picture
    probabilities: np.ndarray | None
    """``[C]``; None if it cannot be read."""
    fault: str = ""


def read_labels(given: str, templates: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return prompts by class.

    Args:
        given: classes with commas between, or a JSON file: a list of classes, or class -> prompt or list of prompts.
        templates: sentences with ``{}`` for the class, for classes that have no prompts of their own.

    Raises:
        PathPluginsError: fewer than two classes, a template without ``{}``, or a file of any other content.
    """
    if bad := [template for template in templates if "{}" not in template]:
        raise PathPluginsError(f"--template {bad[0]!r}: has no {{}} where the class goes, e.g. {TEMPLATE!r}")
    if not given.lower().endswith(".json"):
        names = [name.strip() for name in given.split(",")]
        found: object = names
    else:
        try:
            found = parse_json(Path(given).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PathPluginsError(f"--labels {given}: not readable as JSON ({error}); correct it") from error
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        prompts = {name: [template.replace("{}", name) for template in templates] for name in found}
        repeats = len(found) - len(prompts)
    elif isinstance(found, dict):
        prompts, repeats = {n: [value] if isinstance(value, str) else value for n, value in found.items()}, 0
    else:
        raise PathPluginsError(f"--labels {given}: wanted a list of classes, or class -> prompts")
    bad = [name for name, texts in prompts.items() if not name.strip() or not _are_texts(texts)]
    if bad or repeats or len(prompts) < 2:
        got = f"{bad[0]!r} has no prompts, or blank ones" if bad else "a class comes twice" if repeats else "one class"
        raise PathPluginsError(f"--labels {given}: {got}; wanted at least two classes, each with its prompts")
    return {name: tuple(texts) for name, texts in prompts.items()}


def find_pictures(given: Sequence[Path], labels: Sequence[str]) -> list[Picture]:
    """Find pictures in files and folders; a subfolder's name is the class of its pictures.

    Raises:
        PathPluginsError: a path that does not exist, a folder without pictures, or subfolders that are no class.
    """
    classes = {_folded(label): label for label in labels}
    found: list[Picture] = []
    for path in given:
        if path.is_file():
            found.append(Picture(path, None))
            continue
        if not path.is_dir():
            raise PathPluginsError(f"{path}: no such file or folder; pass pictures, or folders of them")
        files = [p for p in files_below(path) if p.suffix.lower() in IMAGE_SUFFIXES]
        if not files:
            raise PathPluginsError(f"{path}: no pictures in it; looked for {' '.join(sorted(IMAGE_SUFFIXES))}")
        folders = {file.relative_to(path).parts[0] for file in files if file.parent != path}
        if unknown := sorted(folder for folder in folders if _folded(folder) not in classes):
            raise PathPluginsError(
                f"{path}: its folders {', '.join(unknown[:10])} are no class of --labels ({', '.join(labels)}); rename "
                "them or the classes, or pass the folders themselves"
            )
        for file in files:
            folder, *inside = file.relative_to(path).parts
            found.append(Picture(file, classes[_folded(folder)] if inside else None))
    return found


def class_features(clip: Clip, labels: dict[str, tuple[str, ...]]) -> np.ndarray:
    """Return float32 ``[C, D]`` of length 1: the mean of the features of each class's prompts."""
    means = np.stack([clip.texts(texts).mean(axis=0) for texts in labels.values()])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def probabilities(features: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the softmax of 100 cosines, float64 ``[B, C]``, of features ``[B, D]`` and classes ``[C, D]``."""
    logits = LOGIT_SCALE * features.astype(np.float64) @ classes.T.astype(np.float64)  # [B, C]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def classify(
    clip: Clip, pictures: Sequence[Picture], classes: np.ndarray, *, batch_size: int, readers: int
) -> Iterator[Prediction]:
    """Classify the central square of every picture, in order; the next are read while a batch is encoded."""

    def read(batch: Sequence[Picture]) -> list[np.ndarray | str]:
        return [_prepared(clip, picture.path) for picture in batch]

    batches = deque(pictures[start : start + batch_size] for start in range(0, len(pictures), batch_size))
    pending: deque[tuple[Sequence[Picture], Future[list[np.ndarray | str]]]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        while batches or pending:
            while batches and len(pending) <= readers:
                batch = batches.popleft()
                pending.append((batch, pool.submit(read, batch)))
            batch, future = pending.popleft()
            prepared = future.result()
            good = [pixels for pixels in prepared if not isinstance(pixels, str)]
            found = iter(probabilities(clip.images(np.stack(good)), classes) if good else ())
            for picture, pixels in zip(batch, prepared, strict=True):
                bad = isinstance(pixels, str)
                yield Prediction(picture, None, pixels) if bad else Prediction(picture, next(found))


class Score:
    """Counts of pictures and of right predictions by class."""

    def __init__(self) -> None:
        self.of_class: Counter[str] = Counter()
        self.right: Counter[str] = Counter()

    def add(self, truth: str, predicted: str) -> None:
        """Count one picture."""
        self.of_class[truth] += 1
        self.right[truth] += truth == predicted

    @property
    def accuracy(self) -> float:
        """Return the share of pictures that were right."""
        return self.right.total() / self.of_class.total()

    @property
    def balanced_accuracy(self) -> float:
        """Return the mean over the classes that occur of the share that was right."""
        return float(np.mean([self.right[name] / count for name, count in self.of_class.items()]))


def _prepared(clip: Clip, path: Path) -> np.ndarray | str:
    """Return the encoder's input for a picture, or the reason why it cannot be read."""
    try:
        return clip.images.prepare(central_square(open_image(path)))
    except BadImage as error:
        return str(error)


def _are_texts(texts: object) -> bool:
    return isinstance(texts, list) and bool(texts) and all(isinstance(text, str) and text.strip() for text in texts)


def _folded(name: str) -> str:
    return name.casefold().replace("_", " ")
