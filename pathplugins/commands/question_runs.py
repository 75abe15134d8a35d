"""Ask a model many questions: batch by batch, each on disk before the next, shared among the processes of torchrun."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.commands.ask import answers_to
from pathplugins.commands.batches import Prompts, inputs_ahead
from pathplugins.commands.choosing import choice_losses, likeliest
from pathplugins.commands.evaluation_options import EvaluationOptions
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.predictions import Line, append, gather
from pathplugins.commands.questions import Prepared, Question
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.answers import options_in

_PROGRESS_S = 10.0

logger = logging.getLogger(__name__)


class Processes(NamedTuple):
    """This process among those that torchrun has started, or alone."""

    rank: int
    world: int

    def shared(self, make: Callable[[], Any]) -> Any:
        """Return what the first process makes, in all of them."""
        made = [make()] if self.rank == 0 else [None]
        if self.world > 1:
            import torch.distributed as dist

            dist.broadcast_object_list(made)
        return made[0]


@contextmanager
def processes() -> Iterator[Processes]:
    """Give this process's place; the block ends well in one when it has ended in all."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        import torch.distributed as dist

        dist.init_process_group("gloo", timeout=timedelta(days=7))  # shares may take very different times
    yield Processes(rank, world)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


def load(options: EvaluationOptions, here: Processes) -> LoadedModel:
    """Load the model; each process on its own GPU where there are any."""
    device = options.device
    if device == "auto" and here.world > 1:
        import torch

        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    return load_model(
        options.model,
        adapter=options.adapter,
        device=device,
        dtype=options.dtype,
        bits=options.bits,
        allow_other_encoder=options.test.allow_other_encoder,
        image_aspect_ratio=options.image_aspect_ratio,
    )


def ask_share(
    model: LoadedModel, options: EvaluationOptions, questions: Sequence[Question], out: Path, here: Processes
) -> None:
    """Answer this process's share of the open questions."""
    questions = questions[here.rank :: here.world]
    began = said_at = time.monotonic()
    # Draws of a question must not depend on its batch.
    at_once = 1 if options.sampling.temperature or options.choices == "likelihood" else options.batch_size
    batches = [questions[start : start + at_once] for start in range(0, len(questions), at_once)]
    prompts = [Prompts([q.prompt for q in batch], [q.images for q in batch]) for batch in batches]
    done = 0
    for batch, inputs in zip(batches, inputs_ahead(model.processor, prompts), strict=True):
        if options.choices == "likelihood":
            lines = [_chosen(model, inputs, batch[0])]
        else:
            told = answers_to(model, inputs, options.sampling_for(batch[0].line["id"]))
            lines = [{**question.line, "prediction": text} for question, text in zip(batch, told, strict=True)]
        append(out, lines, rank=here.rank, world=here.world)
        done, now = done + len(batch), time.monotonic()
        if here.rank == 0 and (now - said_at > _PROGRESS_S or done == len(questions)):
            left = timedelta(seconds=round((now - began) / done * (len(questions) - done)))
            share = f" (this process's share of {here.world})" if here.world > 1 else ""
            logger.info("%d of %d questions answered%s, %s left", done, len(questions), share, left)
            said_at = now


def _chosen(model: LoadedModel, inputs: Any, question: Question) -> Line:
    """Return the line of a question whose choice is made by likelihood, with the mean loss of every choice."""
    options = options_in(question.line["question"])
    losses = choice_losses(model, inputs, question.prompt, question.images, options)
    return {**question.line, "prediction": likeliest(losses), "losses": losses}


def answered(out: Path, prepared: Prepared) -> list[Line]:
    """Return the lines of all questions, each with its prediction.

    Raises:
        PathPluginsError: some are not answered.
    """
    lines = [*gather(out, prepared.ids).values()]
    if len(lines) < len(prepared.ids):
        raise PathPluginsError(f"{out}: {len(prepared.ids) - len(lines)} answers are missing; run the command again")
    return lines


def versions() -> dict[str, str]:
    """Return the versions of what answers and scores."""
    return {name: version(name) for name in ("pathplugins", "torch", "transformers")}
