"""Folders of tokenized conversations, which are memory-mapped by every rank and every later run.

A folder is what ``datasets.Dataset.save_to_disk`` writes. Ours has the columns ``input_ids``, ``labels``, ``image``
(list of references), ``id``, ``source`` and ``row`` and says in ``pathplugins.json`` what it was made of; those of
XTuner's ``process_untokenized_llava_data.py`` have ``image`` (one reference, a list, or None) and ``conversation``.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

import pathplugins
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.core.walk import files_below
from pathplugins.data.formats import MADE_UP, READERS
from pathplugins.data.llava_format import masked_by_llava
from pathplugins.data.records import BadSample, Record
from pathplugins.data.turn_formats.turn_format import misread
from pathplugins.xtuner.conversations import encode
from pathplugins.xtuner.templates import llava_version, turn_format_of

DESCRIPTION = "pathplugins.json"

_LAYOUT = 1  # part of every key: texts made by other code are other texts
_BATCH = 1000
_PROGRESS_S = 10.0
_IDS = pa.list_(pa.int32())
_SCHEMA = pa.schema(
    {
        **{"id": pa.string(), "input_ids": _IDS, "labels": _IDS, "image": pa.list_(pa.string())},
        **{"source": pa.string(), "row": pa.int32()},
    }
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What conversations are made of, tokenizer aside."""

    data_path: tuple[str, ...]
    """Files or folders."""
    format: str
    """Name of the reader."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the reader."""
    image_folder: str | None = None
    """What relative references are relative to."""
    template: Mapping[str, Any]
    system: str = ""
    limit: int | None = None
    """Keep so many samples at most, drawn as `chosen` does."""

    def __post_init__(self) -> None:
        if not self.template:
            raise PathPluginsError("prompt_template is needed with data_path, e.g. PROMPT_TEMPLATE.llama3_chat")
        known = inspect.signature(READERS.get(self.format)).parameters
        if wrong := sorted(set(self.options) - set(known)):
            takes = [name for name in known if name not in ("path", "media_dir")]
            raise PathPluginsError(f"format {self.format} has no option {wrong}; it has: {', '.join(takes) or 'none'}")
        for path in self.data_path:
            if self.format not in MADE_UP and not Path(path).exists():
                raise PathPluginsError(f"data_path: {path} does not exist; give a file or folder of samples")

    def read(self, end: str) -> tuple[list[Record], list[BadSample]]:
        """Read the records of all files, and what is wrong with the rows that make none.

        Args:
            end: the tokenizer's end-of-text token, which no text may hold in a format of LLaVA v1.5.
        """
        records: list[Record] = []
        bad: list[BadSample] = []
        for path in self.data_path:
            found, wrong = READERS.get(self.format)(path, media_dir=self.image_folder, **self.options)
            records += found
            bad += wrong
        unfit: list[BadSample] = []
        if version := llava_version(self.template):
            unfit = masked_by_llava(version, records, end, self.system)
        elif form := turn_format_of(self.template):
            unfit = misread(form, records)
        if unfit:
            places = {(sample.source, sample.row) for sample in unfit}
            records = [record for record in records if (record.source, record.row) not in places]
            bad += unfit
        rows = chosen(len(records), self.limit)
        return records if rows is None else [records[row] for row in rows], bad

    def key(self, tokenizer: Any) -> str:
        """Return a name for the token ids this makes with a tokenizer, without reading a sample."""
        named = [value for value in self.options.values() if isinstance(value, str | os.PathLike)]
        paths = named if self.format in MADE_UP else (*self.data_path, *named)
        files = [file for path in paths for file in _files(Path(path))]
        stamps = [(str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        versions = (_LAYOUT, pathplugins.__version__, datasets.__version__)
        parts = [asdict(self), stamps, tokenizer_fingerprint(tokenizer), versions]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def write_texts(out: Path, source: Source, tokenizer: Any) -> None:
    """Tokenize the conversations of ``source`` into the existing, empty directory ``out``.

    Args:
        out: the folder to fill.
        source: what to read. Rows it cannot use are listed in ``pathplugins.json``.
        tokenizer: of the language model.
    """
    records, bad = source.read(tokenizer.eos_token)
    stream, said_at = out / "stream" / "texts.arrow", time.monotonic()
    stream.parent.mkdir()
    with pa.OSFile(str(stream), "wb") as file, pa.ipc.new_stream(file, _SCHEMA) as writer:
        for start in range(0, len(records), _BATCH):
            batch = records[start : start + _BATCH]
            encoded = encode(batch, tokenizer, source.template, system=source.system)
            rows = [
                {
                    **{"id": record.id, "input_ids": texts.input_ids, "labels": texts.labels},
                    **{"image": [_stored(image, source.image_folder) for image in record.images]},
                    **{"source": record.source, "row": record.row},
                }
                for record, texts in zip(batch, encoded, strict=True)
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
            if time.monotonic() - said_at > _PROGRESS_S:
                logger.info("tokenized %d of %d conversations", start + len(batch), len(records))
                said_at = time.monotonic()
    datasets.Dataset.from_file(str(stream)).save_to_disk(out, num_shards=1)  # else no samples are no file to read back
    shutil.rmtree(stream.parent)
    description = {
        "pathplugins": pathplugins.__version__,
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "tokenizer_name": tokenizer_name(tokenizer),
        "source": {**asdict(source), "data_path": list(source.data_path)},
        "samples": len(records),
        "bad": [asdict(sample) for sample in bad],
    }
    write_json(out / DESCRIPTION, json.loads(json.dumps(description, default=str)))
    logger.info("tokenized %d conversations, %d rows cannot be used", len(records), len(bad))


def open_texts(folder: Path) -> tuple[datasets.Dataset, dict[str, Any] | None]:
    """Open a folder's rows, memory-mapped, and its description if it is one of ours."""
    try:
        texts = datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise PathPluginsError(
            f"{folder} cannot be read as a folder of tokenized samples by datasets {datasets.__version__}: {error}; "
            "make it with `pathplugins preprocess` in this environment"
        ) from error
    if isinstance(texts, datasets.DatasetDict):
        if "train" not in texts:
            raise PathPluginsError(f"{folder} has the splits {sorted(texts)}, expected train among them")
        texts = texts["train"]
    if missing := {"input_ids", "labels"} - set(texts.column_names):
        raise PathPluginsError(
            f"{folder} has the columns {texts.column_names} and lacks {sorted(missing)}; expected tokenized samples, "
            "as `pathplugins preprocess` and XTuner's process_untokenized_llava_data.py write them"
        )
    described = folder / DESCRIPTION
    return texts, read_json(described) if described.is_file() else None


def chosen(count: int, limit: int | None) -> list[int] | None:
    """Choose which of ``count`` samples ``limit`` keeps, in order, the same in every process; None for all of them."""
    if limit is None or limit >= count:
        return None
    import numpy as np

    return sorted(np.random.default_rng(0).choice(count, limit, replace=False).tolist())


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Return a name for what a tokenizer does, whatever class and library version it was loaded with."""
    probe = tokenizer.encode("Grade 2 ER+ (ductal); 0.25 µm\n\n Ki-67: 14 %", add_special_tokens=False)
    parts = [sorted(tokenizer.get_vocab().items()), probe, tokenizer.bos_token_id, tokenizer.eos_token_id]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def tokenizer_name(tokenizer: Any) -> str:
    """Return what messages call a tokenizer."""
    return f"{type(tokenizer).__name__} of {tokenizer.name_or_path} with {len(tokenizer)} entries"


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return files_below(path)  # some formats lie in folders of folders
    return [path] if path.is_file() else []


def _stored(image: str, folder: str | None) -> str:
    """Return the path relative where that is possible, so that images and folder may move together."""
    if folder is None or not Path(image).is_relative_to(Path(folder).absolute()):
        return image
    return str(Path(image).relative_to(Path(folder).absolute()))
