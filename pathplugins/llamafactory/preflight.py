"""Look at every tokenized sample before a model is loaded."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data.records import first_shown
from pathplugins.llamafactory.long_samples import warn_of_positions
from pathplugins.llamafactory.mm_plugin import image_tokens
from pathplugins.llamafactory.packing import pack
from pathplugins.llamafactory.preference_images import with_preference_images_checked
from pathplugins.llamafactory.stored_samples import stored_path, with_images_checked
from pathplugins.models.custom_llava.questions import question_marks, question_problem
from pathplugins.models.selectors import SELECTORS

logger = logging.getLogger(__name__)

_UNCUT = 1 << 30  # tokens; no sample is longer


class Problem(NamedTuple):
    """A sample that cannot be trained on."""

    dataset: str
    row: int
    said: str
    cut: bool
    """Whether a larger ``cutoff_len`` would do."""


def checked_datasets(
    get_dataset: Callable[..., dict[str, Any]],
    finetuning_args: Any,
    row_tokens: int | None = None,
    parts: Sequence[str] = ("",),
) -> Callable[..., dict[str, Any]]:
    """Return LLaMA-Factory's ``get_dataset``, which then looks at every sample that it has tokenized.

    Args:
        get_dataset: of LLaMA-Factory.
        finetuning_args: the trainer's arguments about what is frozen.
        row_tokens: of a row, where training samples are to be packed.
        parts: what stands before ``input_ids`` for each text of a sample, as in `check_tokenized`.
    """

    @functools.wraps(get_dataset)
    def get_checked(
        template: Any, model_args: Any, data_args: Any, training_args: Any, *rest: Any, **named: Any
    ) -> dict[str, Any]:
        arguments, stored = (training_args, *rest), stored_path(data_args)
        found = get_dataset(template, model_args, data_args, *arguments, **named)
        if stored is not None:
            found = with_images_checked(found, stored, model_args, data_args, training_args)
        elif len(parts) > 1:
            found = with_preference_images_checked(found, _by_name(found), model_args, data_args, training_args)

        def uncut() -> dict[str, Any]:
            whole = copy.copy(data_args)
            whole.cutoff_len, whole.tokenized_path = _UNCUT, None
            return get_dataset(template, model_args, whole, *arguments, **named)

        check_tokenized(
            found, named["processor"], cutoff_len=data_args.cutoff_len, uncut=uncut, stored=stored, parts=parts
        )
        warn_of_positions(_by_name(found), model_args.model_name_or_path, parts)
        if training_args.do_train:
            check_vision(found.get("train_dataset"), finetuning_args)
            if row_tokens is not None and found.get("train_dataset") is not None:
                options = {"seed": _order_seed(training_args, finetuning_args), "say": training_args.should_log}
                found["train_dataset"] = pack(found["train_dataset"], row_tokens, **options)
            check_batches(found.get("train_dataset"), training_args)
        return found

    return get_checked


def _order_seed(training_args: Any, finetuning_args: Any) -> int | None:
    """Return what the order of the training samples is drawn with; None where they stay in theirs."""
    if finetuning_args.disable_shuffling:
        return None
    return training_args.data_seed if training_args.data_seed is not None else training_args.seed


def check_tokenized(
    datasets: Mapping[str, Any],
    processor: Any,
    *,
    cutoff_len: int | None = None,
    uncut: Callable[[], Mapping[str, Any]] | None = None,
    stored: Path | None = None,
    parts: Sequence[str] = ("",),
) -> None:
    """Raise `BadSamplesError` when truncation took vision tokens or whole answers, or a question is missing.

    LLaMA-Factory cuts a sample at ``cutoff_len`` wherever that falls: vision tokens lost there fail in the first
    forward that meets them, and a sample without a label left trains on nothing. A token selector that looks at the
    question would fail in the first forward of a sample that has none.

    Args:
        datasets: ``train_dataset`` and ``eval_dataset`` (a dataset, a dict of them, None), with the columns
            ``input_ids``, ``labels`` and ``images``.
        processor: knows how many tokens an image takes.
        cutoff_len: the limit the samples were cut at, for the message.
        uncut: tokenizes the same samples without a limit, to say how many tokens would do.
        stored: the folder of ``tokenized_path`` they were loaded from, if they were.
        parts: what stands before ``input_ids`` and ``labels`` for each text of a sample: the answers of a preference
            (``chosen_``, ``rejected_``) are two.
    """
    problems = _found(datasets, processor, parts)
    if not problems:
        return
    advice = (
        f"{len(problems)} samples of tokenized_path {stored} do not fit their images or this model: it was made with "
        "another cutoff_len, image_seq_length or model, or the images have changed; delete it or name another folder:"
        if stored
        else _advice(problems, processor, cutoff_len, uncut, parts)
    )
    raise BadSamplesError("\n".join([advice, first_shown(_lines(problems))]))


def _found(datasets: Mapping[str, Any], processor: Any, parts: Sequence[str]) -> list[Problem]:
    """Return the problems of all data sets, one of each sample."""
    found: dict[tuple[str, int], Problem] = {}
    for name, dataset in _by_name(datasets).items():
        for part in parts:
            for problem in _problems(name, dataset, processor, part):
                found.setdefault(problem[:2], problem)
    return [found[place] for place in sorted(found)]


def _advice(
    problems: list[Problem],
    processor: Any,
    cutoff_len: int | None,
    uncut: Callable[[], Any] | None,
    parts: Sequence[str],
) -> str:
    """Say what to do about the samples, with the least ``cutoff_len`` that would do where it can be found."""
    cut = [problem for problem in problems if problem.cut]
    if not cut:
        return f"{len(problems)} samples ask nothing that the token selector could look at; give each a question:"
    if uncut is None:
        return f"{len(problems)} samples do not fit cutoff_len (raise it or lower image_seq_length) or ask nothing:"
    logger.info("samples do not fit cutoff_len; tokenizing them again without it, to say how many tokens would do")
    datasets = uncut()
    whole = _by_name(datasets)
    hopeless = {problem[:2] for problem in _found(datasets, processor, parts)}
    cut = [problem for problem in cut if problem[:2] not in hopeless]
    if not cut:
        return f"{len(problems)} samples cannot be trained on, whatever cutoff_len is; correct them:"
    rows = [whole[problem.dataset][problem.row] for problem in cut]
    longest = max(len(row[f"{part}input_ids"]) for row in rows for part in parts)
    rest = f"; {len(problems) - len(cut)} samples cannot be trained on anyway" if len(cut) < len(problems) else ""
    return (
        f"{len(cut)} samples do not fit cutoff_len {cutoff_len}: set cutoff_len: {longest} or more, or lower "
        f"image_seq_length{rest}:"
    )


def _lines(problems: list[Problem]) -> list[str]:
    return [f"{problem.dataset} sample {problem.row}: {problem.said}" for problem in problems]


def check_vision(dataset: Any, finetuning_args: Any) -> None:
    """Say that no sample shows anything; raise when nothing else than the reading of images is to be trained.

    Args:
        dataset: the training samples, with a column ``images``.
        finetuning_args: the trainer's arguments about what is frozen.
    """
    if dataset is None or not hasattr(dataset, "__len__") or any(_has_images(dataset)):
        return
    if finetuning_args.finetuning_type == "full" and finetuning_args.freeze_language_model:
        raise PathPluginsError(
            f"none of the {len(dataset)} training samples has an image or a bag, and the language model is frozen: "
            "nothing would be learnt; name a dataset with images, or set freeze_language_model: false"
        )
    logger.warning(
        "none of the %d training samples has an image or a bag: the language model is trained on text alone",
        len(dataset),
    )


def check_batches(dataset: Any, training_args: Any) -> None:
    """Raise where ``dataloader_drop_last`` would drop every training sample: a run of no step ends as a success.

    Args:
        dataset: the training samples.
        training_args: the trainer's arguments about batches and processes.
    """
    if dataset is None or not hasattr(dataset, "__len__") or not training_args.dataloader_drop_last:
        return
    size, processes = training_args.train_batch_size, training_args.world_size
    if len(dataset) < size * processes:
        raise PathPluginsError(
            f"{len(dataset)} training samples fill no batch of {size} on each of {processes} processes, and "
            "dataloader_drop_last: true drops the rest, so nothing would be trained: lower "
            "per_device_train_batch_size or set dataloader_drop_last: false"
        )


def _has_images(dataset: Any) -> Any:
    for table in dataset.select_columns(["images"]).with_format("arrow").iter(batch_size=1000):
        yield any(images for images in table["images"].to_pylist())


def _by_name(datasets: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> dataset for those whose length is known: a stream has no end to look at."""
    flat: dict[str, Any] = {}
    for name, dataset in (("train", datasets.get("train_dataset")), ("eval", datasets.get("eval_dataset"))):
        flat.update(dataset if isinstance(dataset, dict) else {name: dataset})
    return {name: dataset for name, dataset in flat.items() if dataset is not None and hasattr(dataset, "__len__")}


def _problems(name: str, dataset: Any, processor: Any, part: str = "") -> list[Problem]:
    """Return the problems of one text of every sample, that of the columns ``part`` is the beginning of."""
    found, first = [], 0
    asks = SELECTORS.get(processor.image_processor.vision_feature_select_mode).needs_prompt
    marks = question_marks(processor.tokenizer) if asks else None
    columns = dataset.select_columns([f"{part}input_ids", f"{part}labels", "images"]).with_format("arrow")
    for table in columns.iter(batch_size=1000):
        vision = _count_per_row(table[f"{part}input_ids"], lambda ids: ids == processor.image_token_id)
        supervised = _count_per_row(table[f"{part}labels"], lambda labels: labels != -100)
        for row, images in enumerate(table["images"].to_pylist()):
            tokens = [image_tokens(image, processor) for image in images or []]
            wanted, place = sum(tokens), (name, first + row)
            if said := _cut(vision[row], wanted, supervised[row], images):
                found.append(Problem(*place, said, cut=True))
            elif marks is not None:
                ids = table[f"{part}input_ids"][row].as_py()
                if problem := question_problem(ids, processor.image_token_id, tokens, marks):
                    found.append(Problem(*place, problem, cut=False))
        first += len(table)
    return found


def sample_problem(sample: Mapping[str, Any], processor: Any, parts: Sequence[str] = ("",)) -> str | None:
    """Return why one tokenized sample cannot be trained on, None where it can.

    Args:
        sample: with ``input_ids``, ``labels`` and ``images``.
        processor: knows how many tokens an image takes.
        parts: what stands before ``input_ids`` and ``labels`` for each text of the sample.
    """
    images = sample.get("images")
    tokens = [image_tokens(image, processor) for image in images or []]
    asks = SELECTORS.get(processor.image_processor.vision_feature_select_mode).needs_prompt
    for part in parts:
        ids, labels = sample[f"{part}input_ids"], sample[f"{part}labels"]
        vision, supervised = ids.count(processor.image_token_id), len(labels) - labels.count(-100)
        if said := _cut(vision, sum(tokens), supervised, images):
            return said
        marks = question_marks(processor.tokenizer) if asks else None
        if marks is not None and (said := question_problem(ids, processor.image_token_id, tokens, marks)):
            return said
    return None


def _cut(vision: int, wanted: int, supervised: int, images: Any) -> str | None:
    """Return what truncation has taken from a text, None where it has taken nothing that is needed."""
    if vision != wanted:
        names = ", ".join(str(image)[:200] for image in images or ["no image"])
        return f"{vision} of {wanted} vision tokens of {names} are left"
    if supervised == 0:
        said = f"nothing of the answer is left after {wanted} vision tokens and the question"
        return f"{said}, or the template learns nothing of it"
    return None


def _count_per_row(column: Any, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Count the entries of each row of a list column that pass ``test``, [rows] int64."""
    lists = column.combine_chunks()
    passed = np.concatenate([[0], np.cumsum(test(lists.flatten().to_numpy(zero_copy_only=False)))])
    ends = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))])
    return passed[ends[1:]] - passed[ends[:-1]]
