"""Samples that are read as they are trained on (``streaming: true``): each is looked at when it is reached."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.llamafactory.preflight import sample_problem

logger = logging.getLogger(__name__)


class CheckedStream(IterableDataset):
    """A stream of tokenized samples without those that truncation has taken vision tokens or the answer from.

    For training it has no end: Transformers takes the steps of a whole run for one epoch, and a run that is resumed
    after a second pass would find nothing more. It is no stream of ``datasets``, of which Accelerate gives each process
    other files, so that one may end before another; of this one each process takes its batches in turn.

    Args:
        name: ``train`` or ``eval``, for messages.
        stream: of ``datasets``, tokenized.
        processor: knows how many tokens an image takes.
        parts: what stands before ``input_ids`` and ``labels`` for each text of a sample.
        skip: leave out what cannot be used, with a warning; else `BadSamplesError` is raised where it is met.
        endless: begin anew at the end, in another order.
    """

    def __init__(
        self, name: str, stream: Any, processor: Any, parts: Sequence[str], *, skip: bool, endless: bool
    ) -> None:
        self.name, self.stream, self.processor, self.parts = name, stream, processor, tuple(parts)
        self.skip, self.endless = skip, endless
        self.passes = torch.zeros(1, dtype=torch.int64)
        """How often it has been read in this data worker: the epoch of what is drawn of an image."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in itertools.count():
            self.passes.fill_(number)
            self.stream.set_epoch(number)
            found = False
            for sample in self.stream:
                if self._usable(sample):
                    found = True
                    yield sample
            if not self.endless or not found:
                break
        worker = get_worker_info()
        if not found and (worker is None or worker.num_workers == 1):
            raise BadSamplesError(f"no {self.name} sample of the stream is left; correct them or raise cutoff_len")

    def _usable(self, sample: dict[str, Any]) -> bool:
        said = sample_problem(sample, self.processor, self.parts)
        if said is None:
            return True
        tokens = f"tokens {sample[f'{self.parts[0]}input_ids'][:8]}"
        about = ", ".join(map(str, sample.get("images") or ())) or tokens
        text = f"{self.name} sample about {about}: {said}; raise cutoff_len or lower image_seq_length"
        if not self.skip:
            raise BadSamplesError(f"{text}, or set on_bad_sample: skip (streaming: false names all such samples)")
        logger.warning("%s: left out", text)
        return False


def with_streams_checked(get_dataset: Callable[..., dict[str, Any]], parts: Sequence[str]) -> Callable[..., Any]:
    """Return ``get_dataset``, whose streams are then looked at while they are read.

    Args:
        get_dataset: takes template, model and data arguments first, and a ``processor``, as LLaMA-Factory's.
        parts: what stands before ``input_ids`` and ``labels`` for each text of a sample.
    """

    def get_checked(template: Any, model_args: Any, data_args: Any, *rest: Any, **named: Any) -> dict[str, Any]:
        found = get_dataset(template, model_args, data_args, *rest, **named)
        if not data_args.streaming:
            return found
        options = {"parts": parts, "skip": model_args.on_bad_sample == "skip"}

        def checked(name: str, dataset: Any) -> Any:
            if dataset is None or hasattr(dataset, "__len__"):
                return dataset
            return CheckedStream(name, dataset, named["processor"], **options, endless=name == "train")

        evaluated = found.get("eval_dataset")
        if isinstance(evaluated, dict):
            evaluated = {name: checked(f"eval {name}", dataset) for name, dataset in evaluated.items()}
        else:
            evaluated = checked("eval", evaluated)
        return {**found, "train_dataset": checked("train", found.get("train_dataset")), "eval_dataset": evaluated}

    return get_checked


def refuse_streaming(data_args: Any, training_args: Any) -> None:
    """Raise `PathPluginsError` where streams would fail in the middle of a run."""
    if not data_args.streaming:
        return
    if training_args.dataloader_num_workers == 0:
        raise PathPluginsError(
            "streaming: true needs dataloader_num_workers: 1 or more; LLaMA-Factory cuts its files by them"
        )
    config = getattr(training_args, "accelerator_config", None)
    if getattr(config, "dispatch_batches", None):
        raise PathPluginsError(
            "accelerator_config: dispatch_batches: true cuts batches into pieces, which packed bags and images are not "
            "made for; leave it out"
        )
