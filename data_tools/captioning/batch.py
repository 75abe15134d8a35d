"""Batch files: the requests of one stage for OpenAI's Batch API or ``vllm run-batch``, and their results.

One request a line (https://platform.openai.com/docs/api-reference/batch/request-input). ``custom_id`` is
``STAGE-ROW-KEY``: the row number is for people; the key is a hash of the question, so that results find their rows
also in a reordered manifest. Equal questions are asked once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.records import BadSample

from .asking import RequestOptions, batch_key
from .client import Count
from .replies import CONTENT_FILTER, Answer, RowFailedError, answer_of, error_text, is_filtered, usage_of
from .rows import PatchRow
from .stages import Stage

ENDPOINT = "/v1/chat/completions"
PART_REQUESTS, PART_MB = 50_000, 200  #: OpenAI's limits of a file
_START = b'{"custom_id": "'
_CUSTOM_ID = re.compile(r".+-\d{7,}-(?P<key>[0-9a-f]{24})")


def write_requests(
    rows: Iterable[PatchRow],
    stage: Stage,
    out: Path,
    *,
    model: str,
    options: RequestOptions,
    part_requests: int = PART_REQUESTS,
    part_mb: float = PART_MB,
) -> list[Path]:
    """Write one request per row; return the files: ``out``, then ``-2``, ``-3`` ... for those that do not fit.

    All files appear together at the end; files of an earlier, longer run are deleted.

    Raises:
        PathPluginsError: a request is larger than ``part_mb``; or ``out`` exists and holds no requests.
    """
    if out.exists() and not _is_ours(out):
        raise PathPluginsError(f"--out {out} exists and holds no requests; choose another name")
    limit, seen = int(part_mb * 1e6), set[str]()
    with ExitStack() as stack:
        files = list[Path]()
        file: BinaryIO | None = None
        size = lines = 0
        for row in rows:
            image = row.image.read_bytes() if stage.image else None
            prompt = stage.prompt(row.slots())
            key = batch_key(prompt, image)
            if key in seen:
                continue
            seen.add(key)
            line = _line(f"{stage.name}-{row.number:07d}-{key}", options.body(model, prompt, image))
            if len(line) > limit:
                raise PathPluginsError(
                    f"{row.source}:{row.number}: its request has {len(line) / 1e6:.1f} MB, more than a file of "
                    f"--part-mb {part_mb:g} may have; raise --part-mb, or make the picture smaller"
                )
            if file is None or lines == part_requests or size + len(line) > limit:
                if file is not None:
                    file.close()  # renamed at the end; closed now, so that a thousand files are not open at once
                files.append(_numbered(out, len(files) + 1))
                file = stack.enter_context(stack.enter_context(replacing(files[-1])).open("wb"))
                size = lines = 0
            file.write(line)
            size, lines = size + len(line), lines + 1
    for old in {*_earlier_files(out)}.difference(files):
        old.unlink()
    return files


def read_results(paths: Sequence[Path], errors: dict[str, str], count: Count) -> Iterator[tuple[str, Answer]]:
    """Yield (key, answer or refusal); when a question was answered twice, the later answer comes last.

    Args:
        paths: output and error files of batches.
        errors: filled with key -> error, for requests without an answer.
        count: counts the tokens.

    Raises:
        PathPluginsError: a line is not JSON, or answers no request that ``write_requests`` wrote.
    """
    for path in paths:
        for sample in read_samples(path):
            if isinstance(sample, BadSample):
                raise PathPluginsError(f"{path}:{sample.row}: {sample.detail}; download the results again")
            match = _CUSTOM_ID.fullmatch(str(sample.cells.get("custom_id")))
            if match is None:
                raise PathPluginsError(
                    f"{path}:{sample.number}: custom_id is {sample.cells.get('custom_id')!r}, not one that "
                    "caption-requests wrote; pass the results of its files"
                )
            outcome = _outcome(sample.cells, count)
            if isinstance(outcome, Answer):
                yield match["key"], outcome
            else:
                errors[match["key"]] = outcome


def _outcome(result: dict[str, Any], count: Count) -> Answer | str:
    """Return the answer in one line of results, or the error as text."""
    response = result.get("response")
    response = response if isinstance(response, dict) else {}
    body = response.get("body")
    if is_filtered(body):
        return Answer(error_text(body), "", CONTENT_FILTER)
    if result.get("error"):
        return error_text(result)
    if response.get("status_code") != 200:
        return f"{response.get('status_code')}: {error_text(body)}"
    count.add(usage_of(body))
    try:
        return answer_of(body, "")
    except RowFailedError as error:
        return f"{error.reason}: {error}"


def _line(custom_id: str, body: dict[str, Any]) -> bytes:
    request = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}
    return f"{json.dumps(request, ensure_ascii=False)}\n".encode()


def _numbered(out: Path, number: int) -> Path:
    return out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


def _earlier_files(out: Path) -> list[Path]:
    name = re.compile(rf"{re.escape(out.stem)}-\d+{re.escape(out.suffix)}")
    return [path for path in out.parent.iterdir() if name.fullmatch(path.name) and _is_ours(path)]


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_START)) == _START
