"""Questions of a test set: read, checked and made ready to be asked, with what an earlier run has answered."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pathplugins.commands.categories import UnknownFieldError, categories
from pathplugins.commands.loading import load_processor, make_square, reads_of
from pathplugins.commands.model_directory import adapter_directory, model_directory
from pathplugins.commands.predictions import begin
from pathplugins.commands.prompting import prompt
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.json_values import parse_json
from pathplugins.core.nearest import near_path, nearest
from pathplugins.data.formats import FORMATS
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, apply_policy, check_images
from pathplugins.data.scoring.answers import options_in, parse_choice
from pathplugins.data.scoring.metrics import label_set
from pathplugins.data.scoring.tasks import Task
from pathplugins.models.custom_llava.input_files import misfit

logger = logging.getLogger(__name__)


class QuestionSet(NamedTuple):
    """Which questions to ask, of what."""

    data: Path
    """File or folder with questions and right answers."""
    format: str
    """Name of its reader in `FORMATS`."""
    image_folder: Path | None
    """What relative images are relative to."""
    format_options: tuple[str, ...]
    """``NAME=VALUE`` for the reader."""
    limit: int | None
    """Ask so many, drawn evenly from all; all of them when None."""
    on_bad_sample: Literal["error", "skip"]
    task: Task
    allow_other_encoder: bool
    """Take bags of another patch encoder than the tower was trained on."""
    by: tuple[str, ...] = ()
    """Fields of the data whose values the scores are told apart by."""
    wanted_by: tuple[str, ...] = ()
    """The same, without those that this copy of the data lacks."""


class Question(NamedTuple):
    """One question, and the line of ``predictions.jsonl`` that its answer completes."""

    prompt: str
    images: tuple[str, ...]
    line: dict[str, Any]


class Checked(NamedTuple):
    """A test set whose rows and images are all checked."""

    settings: dict[str, Any]
    """What decides the answers; a run with others is not continued."""
    questions: list[Question]
    left_out: int
    """Bad rows that were skipped."""
    labels: list[str]
    """The classes, for the task ``labels``."""
    groups: dict[str, dict[str, str]]
    """Field -> id of a question -> its value."""


class Prepared(NamedTuple):
    """Everything that is known before the first question is asked."""

    settings: dict[str, Any]
    """See `Checked`."""
    ids: list[str]
    """Ids of all questions, in their order."""
    open: list[Question]
    """Those without an answer yet."""
    left_out: int
    labels: list[str]
    groups: dict[str, dict[str, str]]


def prepare(model: str, adapter: str | None, test: QuestionSet, out: Path, settings: dict[str, Any]) -> Prepared:
    """Read and check a test set, and begin its folder of predictions or continue one.

    Args:
        model: directory or hub id.
        adapter: likewise, of a LoRA adapter, or None.
        test: the questions.
        out: folder of the predictions.
        settings: options of the run that decide the answers.

    Raises:
        PathPluginsError: the model, the data or an option cannot be used, or ``out`` holds answers of another run.
    """
    return begun(check(model, adapter, test, out, settings), out)


def check(model: str, adapter: str | None, test: QuestionSet, out: Path, settings: dict[str, Any]) -> Checked:
    """Read and check a test set; ``out`` gets a list of bad rows, if there are any.

    Args:
        model: see `prepare`.
        adapter: see `prepare`.
        test: see `prepare`.
        out: see `prepare`.
        settings: see `prepare`.

    Raises:
        PathPluginsError: the model, the data or an option cannot be used.
    """
    from transformers import AutoConfig

    folder = model_directory(model)
    processor: Any = load_processor(folder, allow_other_encoder=test.allow_other_encoder)
    if ratio := settings.get("image_aspect_ratio"):
        make_square(processor, ratio)
    vision_config = AutoConfig.from_pretrained(folder).vision_config
    records, labels, left_out = _checked(test, model, processor, vision_config, out)
    groups = {field: categories(records, field) for field in test.by} | _there(records, test)
    questions = []
    for record in records:
        asked, told = (turn.text for turn in record.conversations)
        place = {"id": record.id, "source": record.source, "row": record.row}
        words = asked.replace(IMAGE_PLACEHOLDER, "").strip()
        line = {**place, "images": [*record.images], "question": words, "answer": told}
        whole = prompt(processor.tokenizer, asked, system=settings.get("system"))
        questions.append(Question(whole, record.images, line))
    known = {
        "model": f"{model} ({_fingerprint(model) or folder.name})",  # the folder of a hub id is named by its commit
        "adapter": adapter and f"{adapter} ({_fingerprint(adapter_directory(adapter))})",
        "data": f"{len(questions)} questions of {test.data} ({_digest([*map(_asked, questions)])})",
        **settings,
    }
    return Checked(known, questions, left_out, labels, groups)


def begun(test: Checked, out: Path) -> Prepared:
    """Begin the folder of predictions of a test set, or continue one.

    Raises:
        PathPluginsError: it holds answers of another run.
    """
    ids = [question.line["id"] for question in test.questions]
    done = begin(out, test.settings, ids)
    if done:
        logger.info("%s: continuing after %d of %d answers", out, len(done), len(ids))
    unanswered = [question for question in test.questions if question.line["id"] not in done]
    return Prepared(test.settings, ids, unanswered, test.left_out, test.labels, test.groups)


def _asked(question: Question) -> Question:
    """Return a question without what its line only says of it."""
    return question._replace(line={name: value for name, value in question.line.items() if name != "images"})


def _there(records: Sequence[Record], test: QuestionSet) -> dict[str, dict[str, str]]:
    """Return the categories that a suite knows and this copy of its data holds."""
    found = {}
    for field in test.wanted_by:
        if field in test.by:
            continue
        try:
            found[field] = categories(records, field)
        except UnknownFieldError:
            logger.info("%s has no field %s: no scores by it", test.data, field)
    return found


def _checked(
    test: QuestionSet, model: str, processor: Any, vision_config: dict[str, Any], out: Path
) -> tuple[list[Record], list[str], int]:
    """Return the records to ask about, every row and image checked; the labels; how many rows were left out."""
    from pathplugins.models.compose.cache import cache_dir
    from pathplugins.models.custom_llava.image_checks import crowded, image_check, other_encoders

    if not test.data.exists():
        raise PathPluginsError(f"--data {test.data}: no such file or folder{near_path(test.data)}")
    if test.image_folder is not None and not test.image_folder.is_dir():
        raise PathPluginsError(f"--image-folder {test.image_folder}: no such folder{near_path(test.image_folder)}")
    reader, reads = FORMATS.get(test.format), reads_of(processor)
    options = _format_options(test.format_options, test.format, reader)
    everything, bad = reader(test.data, media_dir=test.image_folder, **options)
    asked = min(test.limit or len(everything), len(everything))
    records = [everything[n * len(everything) // asked] for n in range(asked)]
    bad += [fault for record in records if (fault := _fault(record, test.task, reads))]
    check, rules = image_check(processor.image_processor, vision_config)
    remembered = cache_dir() / "bag_checks" / f"{_digest(str(test.data.absolute()))}.json"
    bad += check_images(records, _said_well(check, reads, model), progress=True, cache=remembered, cache_key=rules)
    bad += crowded(records, processor.image_processor)
    bad += other_encoders(records, processor.image_processor, known_bad=bad)
    good = apply_policy(
        records,
        bad,
        on_bad_sample=test.on_bad_sample,
        report_path=out / "bad_samples.jsonl",
        to_skip="pass --on-bad-sample skip to leave them out",
    )
    labels = label_set([record.conversations[-1].text for record in everything]) if test.task == "labels" else []
    return good, labels, len({(sample.source, sample.row) for sample in bad})


def _said_well(check: Callable[[str], object], reads: Any, model: str) -> Callable[[str], object]:
    """Return a check that says of a slide, an image or a bag in the wrong place what it is."""

    def checked(image: str) -> object:
        try:
            return check(image)
        except PathPluginsError as error:
            if is_file(Path(image)) and (said := misfit(Path(image), reads=reads, model=model)):
                raise PathPluginsError(said) from error
            raise

    return checked


def _format_options(given: Sequence[str], name: str, reader: Any) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` for the reader of a format; values are JSON, else text."""
    takes = [option for option in inspect.signature(reader).parameters if option not in ("path", "media_dir")]
    options = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or key not in takes:
            near = nearest(key, takes)
            hint = f". Did you mean {near}=VALUE?" if near else ""
            raise PathPluginsError(
                f"--option {text}: expected NAME=VALUE; {name} has the options {', '.join(takes) or 'none'}{hint}"
            )
        try:
            options[key] = parse_json(value)
        except ValueError:
            options[key] = value
    return options


def _fault(record: Record, task: Task, reads: str) -> BadSample | None:
    """Return what makes a record no question with one right answer about an image; None if nothing does."""
    roles = [turn.role for turn in record.conversations]
    place = {"source": record.source, "row": record.row}
    if roles != ["user", "assistant"]:
        return BadSample(
            **place, reason="not one question", detail=f"{record.id}: roles are {roles}; expected one each"
        )
    if not record.images:
        wanted = "bag" if reads == "bags" else "image"
        detail = (
            f"{record.id}: names no {wanted}, so that the model would answer from its language model alone; name the "
            f"{wanted} of the question, or leave the row out"
        )
        return BadSample(**place, reason=f"no {wanted}", detail=detail)
    asked, told = (turn.text for turn in record.conversations)
    if task == "choices" and parse_choice(told, options_in(asked)) is None:
        detail = f"{record.id}: {told!r} is none of the choices {options_in(asked)} that the question lists"
        return BadSample(**place, reason="answer not among choices", detail=detail)
    return None


def _fingerprint(folder: str | Path) -> str:
    """Return a digest of names, sizes and times of a directory's weights and settings; ``""`` for a hub id."""
    files = sorted(p for p in Path(folder).glob("*") if p.suffix in (".safetensors", ".bin", ".json", ".jinja"))
    return _digest([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files]) if files else ""


def _digest(value: Any) -> str:
    from pathplugins.models.compose.spec import digest

    return digest(value)
