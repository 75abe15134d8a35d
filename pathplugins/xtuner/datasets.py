"""Conversations about images or slides for XTuner, checked and tokenized before training starts."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock
from mmengine.dist import get_rank
from mmengine.logging import MMLogger
from torch.utils.data import Dataset
from xtuner.utils import IMAGE_TOKEN_INDEX

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.core.value_types import wrong_types
from pathplugins.data.records import BadSample, Record, apply_policy
from pathplugins.models.compose.cache import DONE, cache_dir, cached
from pathplugins.models.custom_llava.positions import too_long
from pathplugins.models.custom_llava.questions import question_problem
from pathplugins.xtuner.conversations import check_family, expand, resolve_system, resolve_template
from pathplugins.xtuner.image_tokens import image_tokens
from pathplugins.xtuner.lengths import images_of, measure
from pathplugins.xtuner.offline import check_origin
from pathplugins.xtuner.options import options_of
from pathplugins.xtuner.parts import Model, load_processor, model_settings
from pathplugins.xtuner.texts import DESCRIPTION, Source, chosen, open_texts, tokenizer_name, write_texts

logger = logging.getLogger(__name__)


class PathologyDataset(Dataset):
    """Samples with their images still to be read, which `pathplugins.xtuner.collate.collate` does.

    Args:
        model: what the config names: a model directory, or the parts of one.
        data_path: file or folder of samples, or a list of them.
        format: how they are written, see `pathplugins.data.formats.READERS`.
        format_options: of that reader.
        image_folder: what relative references are relative to.
        offline_processed_text_folder: folder of `pathplugins preprocess` or of XTuner, instead of ``data_path``.
        prompt_template: entry of ``xtuner.utils.PROMPT_TEMPLATE``, or its name; needed with ``data_path``.
        system: system prompt of samples that bring none.
        max_length: tokens of a sample at most, vision tokens included; what is longer is cut at the end.
        on_bad_sample: stop before training, or leave out what cannot be used.
        check_images: read every image once before training; files that passed are not read again.
        max_dataset_length: use so many samples at most, drawn the same way every time.
        check_workers: threads that check images.
    """

    @options_of("dataset")
    def __init__(
        self,
        model: Model,
        *,
        data_path: str | Sequence[str] | None = None,
        format: str = "llava",
        format_options: Mapping[str, Any] | None = None,
        image_folder: str | None = None,
        offline_processed_text_folder: str | None = None,
        prompt_template: Mapping[str, Any] | str | None = None,
        system: str = "",
        max_length: int = 2048,
        on_bad_sample: Literal["error", "skip"] = "error",
        check_images: bool = True,
        max_dataset_length: int | None = None,
        check_workers: int = 8,
    ) -> None:
        if wrong := wrong_types(PathologyDataset.__init__, locals()):
            raise PathPluginsError(f"dataset: {_joined(wrong)}; correct the config")
        if (data_path is None) == (offline_processed_text_folder is None):
            raise PathPluginsError("give either data_path or offline_processed_text_folder to the dataset")
        _log_with_trainer()
        asked_at = time.time()
        self.processor = load_processor(model)
        self.image_folder, self.max_length = image_folder, max_length
        template = None if prompt_template is None else resolve_template(prompt_template)
        if template is not None:
            check_family(template, self.processor.tokenizer)
        system = resolve_system(system)
        bad: list[BadSample] = []
        if data_path is not None:
            source = Source(
                data_path=(data_path,) if isinstance(data_path, str | os.PathLike) else tuple(data_path),
                **{"format": format, "options": dict(format_options or {}), "image_folder": image_folder},
                **{"template": template or {}, "system": system, "limit": max_dataset_length},
            )
            self.folder = _tokenized(source, self.processor.tokenizer, asked_at)
            self.texts, description = open_texts(self.folder)
            bad = [BadSample(**sample) for sample in description["bad"]]
        else:
            self.folder = Path(offline_processed_text_folder)
            texts, description = open_texts(self.folder)
            words = {"template": template, "system": system}
            check_origin(self.folder, texts, description, self.processor.tokenizer, **words)
            rows = chosen(len(texts), max_dataset_length)
            self.texts = texts if rows is None else texts.select(rows)
        problems = self._look(model, check=check_images, workers=check_workers, asked_at=asked_at)
        self._usable(problems, bad, on_bad_sample, model)
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        """Told by `EpochSampler`; in shared memory, so that data workers that are running see it too."""

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return ``input_ids`` and ``labels`` with the images expanded, their references, and what draws depend on."""
        row = int(self._rows[index])
        item = self.texts[row]
        tokens = self._tokens[self._starts[row] : self._starts[row + 1]].tolist()
        ids, labels = expand(item["input_ids"], item["labels"], tokens, self.processor.image_token_id)
        return {
            "input_ids": ids[: self.max_length],
            "labels": labels[: self.max_length],
            "images": [self._path(image) for image in _listed(item.get("image"))],
            "epoch": int(self.epoch),
            "id": str(item.get("id", row)),
        }

    @property
    def modality_length(self) -> list[int]:
        """Return the tokens of each sample, negative without images, as XTuner's ``LengthGroupedSampler`` asks for."""
        lengths = np.minimum(self._lengths.total, self.max_length)
        return np.where(np.diff(self._starts) > 0, lengths, -lengths)[self._rows].tolist()

    def _path(self, reference: str) -> str:
        return reference if self.image_folder is None else os.path.join(self.image_folder, reference)  # noqa: PTH118

    def _look(self, model: Model, **options: Any) -> list[tuple[int, str, str]]:
        """Learn the length of every row; return row, short reason and sentence of what cannot be used."""
        counts, references = images_of(self.texts)  # [R]; M
        paths = [self._path(reference) for reference in references]
        codes = {path: code for code, path in enumerate(dict.fromkeys(paths))}
        found = image_tokens([*codes], model, **options)
        image_codes = np.array([codes[path] for path in paths], np.int64)  # [M]
        self._tokens = np.array(found.counts, np.int64)[image_codes]  # [M]
        self._starts = np.concatenate([[0], np.cumsum(counts)])  # [R + 1], where the images of each row start
        crowded = self._share(paths, np.isin(image_codes, [*found.failures]))
        tokenizer, image = self.processor.tokenizer, self.processor.image_token_id
        self._lengths = lengths = measure(
            self.texts, counts, self._tokens, vocabulary=len(tokenizer), image_token_id=image
        )
        if lengths.foreign is not None:
            row, token = lengths.foreign
            raise PathPluginsError(
                f"{self.folder} was made with another tokenizer: row {row} holds token {token}, which the model's "
                f"{tokenizer_name(tokenizer)} does not have; run `pathplugins preprocess` with this model"
            )
        self._content = _digest([lengths.digest, *references])
        problems = crowded + [(row, *problem) for row, problem in lengths.problems.items()]
        broken = np.flatnonzero(np.isin(image_codes, [*found.failures]))
        owners = np.searchsorted(self._starts, broken, side="right") - 1
        failed = dict.fromkeys(zip(owners.tolist(), image_codes[broken].tolist(), strict=True))  # a row may repeat one
        problems += [(row, *found.failures[code]) for row, code in failed]
        hopeless = {row for row, *_ in problems}
        for row in np.flatnonzero(lengths.needed > self.max_length).tolist():
            if row not in hopeless:
                cut = f"max_length {self.max_length} cuts an image off or leaves nothing to learn"
                said = f"{lengths.total[row]} tokens, vision tokens included; {cut}, {lengths.needed[row]} would do"
                problems.append((row, "too long", said))
        problems += self._without_question(model, counts, {row for row, *_ in problems})
        return sorted(problems, key=lambda problem: problem[0])

    def _share(self, paths: Sequence[str], broken: np.ndarray) -> list[tuple[int, str, str]]:
        """Count the tokens of rows of several images again, as they may share some; find rows of too many images.

        Args:
            paths: of all images of all rows, M.
            broken: [M] bool, those that cannot be used.
        """
        found = []
        for row in np.flatnonzero(np.diff(self._starts) > 1).tolist():
            own = slice(self._starts[row], self._starts[row + 1])
            if broken[own].any():
                continue
            try:
                self._tokens[own] = self.processor.sample_tokens(paths[own])
            except PathPluginsError as error:
                found.append((row, "too many slides", str(error)))
        return found

    def _without_question(self, model: Model, images: np.ndarray, hopeless: set[int]) -> list[tuple[int, str, str]]:
        """Find the rows, among those not ``hopeless`` anyway, that ask nothing a token selector could look at."""
        marks = model_settings(model).get("question_marks")
        if marks is None:  # the selector does not look
            return []
        found, texts = [], self.texts.select_columns("input_ids")
        for row in sorted(set(np.flatnonzero(images).tolist()) - hopeless):
            ids = texts[row]["input_ids"]
            if problem := question_problem(ids, IMAGE_TOKEN_INDEX, [1] * int(images[row]), marks):
                found.append((row, "no question", problem))
        return found

    def _usable(
        self, problems: list[tuple[int, str, str]], bad: list[BadSample], on_bad_sample: Any, model: Model
    ) -> None:
        """Keep the rows that can be trained on; one report about all others."""
        places = self._places() if problems or bad else []
        bad = bad + [
            BadSample(source=places[row][0], row=places[row][1], reason=reason, detail=detail)
            for row, reason, detail in problems
        ]
        if on_bad_sample != "skip" or get_rank() == 0:
            records = [Record(id="", conversations=(), images=(), meta={}, source=s, row=r) for s, r in places]
            report = cache_dir() / "xtuner_reports" / f"{self.folder.name}.bad_samples.jsonl"
            apply_policy(records, bad, on_bad_sample=on_bad_sample, report_path=report if get_rank() == 0 else None)
        self.left_out = len({(sample.source, sample.row) for sample in bad})
        self._rows = np.setdiff1d(np.arange(len(self.texts)), [row for row, *_ in problems])  # [samples]
        self.fingerprint = _digest([self._content, *map(str, self._rows.tolist())])
        """Name for what is trained on: token ids, labels and image references of the rows, in order."""
        if not len(self._rows):
            raise BadSamplesError(f"{self.folder}: nothing is left to train on; correct the samples")
        if get_rank() == 0 and not (np.diff(self._starts)[self._rows] > 0).any():
            logger.warning("none of the %d samples of %s has an image or a bag", len(self), self.folder)
        lengths = np.minimum(self._lengths.total, self.max_length)[self._rows]
        if get_rank() == 0 and (said := too_long(lengths, model_settings(model)["text_config"])):
            logger.warning("%s: %s", self.folder, said)
        cut = int((self._lengths.total[self._rows] > self.max_length).sum())
        if cut and get_rank() == 0:
            logger.info("%d of %d samples are cut at max_length %d", cut, len(self), self.max_length)

    def _places(self) -> list[tuple[str, int]]:
        """Return file and row of each sample; a folder that does not know is the file, its rows counted from 0."""
        if not {"source", "row"} <= set(self.texts.column_names):
            return [(str(self.folder), number) for number in range(len(self.texts))]
        table = self.texts.select_columns(["source", "row"]).with_format("arrow")[:]
        return list(zip(table["source"].to_pylist(), table["row"].to_pylist(), strict=True))


def _tokenized(source: Source, tokenizer: Any, asked_at: float) -> Path:
    """Return the folder of ``source`` in the cache, filled once however many ranks and nodes ask at the same time.

    Rows that could not be used are looked at again if nobody has since we asked: what was missing may be there now.
    """
    name = f"xtuner_texts-{source.key(tokenizer)}"

    def fill(out: Path) -> None:
        write_texts(out, source, tokenizer)
        write_json(out / DONE, {})

    described = cache_dir() / name / DESCRIPTION
    cache_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir() / f"{name}.look.lock"):
        since = described.is_file() and asked_at <= described.stat().st_mtime <= time.time()
        if described.is_file() and not since and (known := read_json(described)["bad"]):
            if [BadSample(**sample) for sample in known] == source.read(tokenizer.eos_token)[1]:
                described.touch()
            else:
                shutil.rmtree(cache_dir() / name)
        return cached(name, fill)


def _log_with_trainer() -> None:
    """Let this package log where XTuner logs."""
    ours = logging.getLogger("pathplugins")
    if not ours.handlers:
        ours.setLevel(logging.INFO)
        for handler in MMLogger.get_current_instance().handlers:
            ours.addHandler(handler)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(texts).encode(errors="surrogateescape"), digest_size=8).hexdigest()


def _joined(problems: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {said}" for name, said in problems.items())


def _listed(images: Any) -> list[str]:
    return [images] if isinstance(images, str) else list(images or [])
