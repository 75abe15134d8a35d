"""Batch files: the requests of one stage for OpenAI's Batch API or ``vllm run-batch``, and their results.

One request a line (https://platform.openai.com/docs/api-reference/batch/request-input). ``custom_id`` is
``STAGE-ROW-KEY``: the row is for people, the key is of the question, so results find their rows in a manifest of
another order too. Equal questions are asked once.
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

from .asking import Options, batch_key
from .client import Count
from .replies import CONTENT_FILTER, Answer, RowFailedError, answer_of, error_text, is_filtered, usage_of
from .rows import Pair
from .stages import Stage

ENDPOINT = "/v1/chat/completions"
PART_REQUESTS, PART_MB = 50_000, 200  #: OpenAI's limits of a file
_START = b'{"custom_id": "'
_CUSTOM_ID = re.compile(r".+-\d{7,}-(?P<key>[0-9a-f]{24})")


def write_requests(
    pairs: Iterable[Pair],
    stage: Stage,
    out: Path,
    *,
    model: str,
    options: Options,
    part_requests: int = PART_REQUESTS,
    part_mb: float = PART_MB,
) -> list[Path]:
    """Write one request a pair; returns the files, ``out`` and then ``-2``, ``-3``... for what does not fit into it.

    All appear together when all are written; parts of an earlier, longer run go.

    Raises:
        PathPluginsError: a request that is larger than a file may be; ``out`` is there and no file of requests.
    """
    if out.exists() and not _is_ours(out):
        raise PathPluginsError(f"{out} is there and holds no requests; choose another name")
    limit, seen = int(part_mb * 1e6), set[str]()
    with ExitStack() as stack:
        parts = list[Path]()
        file: BinaryIO | None = None
        size = lines = 0
        for pair in pairs:
            image = pair.image.read_bytes() if stage.image else None
            prompt = stage.prompt(pair.slots())
            key = batch_key(prompt, image)
            if key in seen:
                continue
            seen.add(key)
            line = _line(f"{stage.name}-{pair.row:07d}-{key}", options.body(model, prompt, image))
            if len(line) > limit:
                raise PathPluginsError(
                    f"{pair.source}:{pair.row}: its request has {len(line) / 1e6:.1f} MB, more than a file of "
                    f"--part-mb {part_mb:g}"
                )
            if file is None or lines == part_requests or size + len(line) > limit:
                if file is not None:
                    file.close()  # it gets its name at the end, but a thousand parts must not be open at once
                parts.append(_part(out, len(parts) + 1))
                file = stack.enter_context(stack.enter_context(replacing(parts[-1])).open("wb"))
                size = lines = 0
            file.write(line)
            size, lines = size + len(line), lines + 1
    for old in {*_parts_there(out)}.difference(parts):
        old.unlink()
    return parts


def read_results(paths: Sequence[Path], errors: dict[str, str], count: Count) -> Iterator[tuple[str, Answer]]:
    """The answers and refusals by key; of a question answered twice the later counts.

    Args:
        paths: output and error files of batches.
        errors: gets key -> what went wrong, of the requests that have no answer.
        count: gets the tokens.

    Raises:
        PathPluginsError: a line that answers no request of ours, or is no JSON.
    """
    for path in paths:
        for sample in read_samples(path):
            if isinstance(sample, BadSample):
                raise PathPluginsError(f"{path}:{sample.row}: {sample.detail}; get the results again")
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
    """What one line of results says, or what went wrong."""
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


def _part(out: Path, number: int) -> Path:
    return out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


def _parts_there(out: Path) -> list[Path]:
    name = re.compile(rf"{re.escape(out.stem)}-\d+{re.escape(out.suffix)}")
    return [path for path in out.parent.iterdir() if name.fullmatch(path.name) and _is_ours(path)]


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_START)) == _START
