"""Go on with a run as if it had not been interrupted: its conditions, its place in the data and in the schedule."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import ReduceOnPlateauLR
from mmengine.runner import EpochBasedTrainLoop

from pathplugins.core.errors import CheckpointError
from pathplugins.core.resume_record import differences, sentence
from pathplugins.xtuner.configs import iterations_of_step
from pathplugins.xtuner.samplers import parts_of
from pathplugins.xtuner.schedule import Schedule

_LENGTH = "iterations of the run"
"""What a record says beside conditions: a run may be made longer."""
_SEED = "seed of the order"


def unwrapped(model: Any) -> Any:
    """Return our model without what DDP or DeepSpeed put around it."""
    return model.module if is_model_wrapper(model) else model


def conditions(runner: Any) -> dict[str, Any]:
    """Return what makes a run the one it is: name -> value that JSON holds.

    Its length is no condition: a run may go on for more epochs, by the schedule of its new length.
    """
    cfg, loader = runner.cfg, runner.train_dataloader
    shapes = unwrapped(runner.model).trained_shapes()
    described = hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:8]
    parts = [part for part in parts_of(loader.dataset) if hasattr(part, "fingerprint")]
    found = {
        "model": _plain(cfg.model.llm).get("model"),
        "pretrained_pth": cfg.model.get("pretrained_pth"),
        "what is trained": f"{sum(map(math.prod, shapes.values()))} weights in {len(shapes)} tensors ({described})",
        "the number of samples": len(loader.dataset),
        "the samples": [part.fingerprint for part in parts],
        "max_length": [part.max_length for part in parts],
        "samples an iteration (batch_size x processes)": _batch_size(loader) * get_world_size(),
        "iterations a step (accumulative_counts)": iterations_of_step(runner.cfg),
        "sampler": type(loader.sampler).__name__,
        _SEED: getattr(loader.sampler, "seed", None),
        "optimizer": _plain(cfg.optim_wrapper.get("optimizer")),
        "clip_grad": _plain(cfg.optim_wrapper.get("clip_grad")),
        "deepspeed": _deepspeed(cfg.get("strategy")),
        "lr_mult": _plain(cfg.model.get("lr_mult")),
        "precision": {
            "optim_wrapper": type(runner.optim_wrapper).__name__,
            "dtype": str(cfg.optim_wrapper.get("dtype")),
            "torch_dtype": str(cfg.model.llm.get("torch_dtype", "auto")),
            "quantization_config": _plain(cfg.model.llm.get("quantization_config")),
        },
    }
    return {**json.loads(json.dumps(found, default=str)), _LENGTH: runner.train_loop.max_iters}


def go_on(runner: Any, earlier: str | None) -> None:
    """Check that a checkpoint that was read is of this run, and take up its place.

    Args:
        runner: after it has resumed, before its first step.
        earlier: the record in the checkpoint, None where there is none.

    Raises:
        CheckpointError: conditions differ, or the checkpoint is not ours.
    """
    take_order(runner, runner.seed, earlier)  # the runner has taken its seed out of the checkpoint
    compare(runner, earlier)
    before = _record(runner, earlier)
    loop, counts = runner.train_loop, iterations_of_step(runner.cfg)
    done = loop.iter
    ended = done == before.get(_LENGTH) and runner.cfg.get("strategy") is None
    if done % counts and not ended:  # MMEngine, not DeepSpeed, steps after the last iteration, whatever its number
        done -= done % counts
        print_log(
            f"the checkpoint of iteration {loop.iter} was saved between two steps of the optimizer, every {counts} "
            f"iterations: going on from iteration {done}, which gives the same weights",
            "current",
        )
    if loop.iter >= loop.max_iters:
        print_log(f"nothing is left to train: iteration {loop.iter} of {loop.max_iters}", "current")
    loop._iter = done
    had = runner.optim_wrapper.param_groups[0]["lr"]
    reschedule(runner, done)
    if before.get(_LENGTH, loop.max_iters) != loop.max_iters:
        now = runner.optim_wrapper.param_groups[0]["lr"]
        print_log(
            f"the run had {before[_LENGTH]} iterations and has {loop.max_iters} now: its schedule is that of the new "
            f"length, the learning rate goes on at {now:.3g} and was {had:.3g}",
            "current",
        )
    if hasattr(runner.optim_wrapper, "initialize_count_status"):
        runner.optim_wrapper.initialize_count_status(runner.model, done, loop.max_iters)
    loop.dataloader_iterator = Remaining(loop.dataloader, done)


def take_order(runner: Any, seed: int | None, earlier: str | None) -> None:
    """Shuffle as the run did that is resumed: a config that says ``resume = True`` has drawn a seed of its own.

    Args:
        runner: whose sampler is set.
        seed: of the checkpoint.
        earlier: the record in the checkpoint, None where there is none.
    """
    sampler, named = runner.train_dataloader.sampler, runner.cfg.train_dataloader.get("sampler", {})
    seed = json.loads(earlier or "{}").get(_SEED, seed)
    if named.get("seed") is None and hasattr(sampler, "seed") and seed is not None:
        sampler.seed = seed


def compare(runner: Any, earlier: str | None) -> None:
    """Raise when the conditions in a checkpoint are not those of this run."""
    before = {name: value for name, value in _record(runner, earlier).items() if name != _LENGTH}
    if changes := differences(before, conditions(runner)):
        raise CheckpointError(
            f"this is not the run that is resumed: {sentence(changes)}; restore these, or start without --resume "
            "(pretrained_pth takes over weights only)"
        )


def reschedule(runner: Any, done: int) -> None:
    """Set all schedulers and rates to where this config's schedule stands after ``done`` iterations.

    MMEngine takes the length of the schedule out of the checkpoint, too: a run made longer trains on at its last rate.
    """
    settings, built, loop = runner.cfg.get("param_scheduler"), runner.param_schedulers, runner.train_loop
    if not isinstance(settings, Sequence) or not isinstance(built, list) or not built:
        return
    if any(isinstance(one, ReduceOnPlateauLR) for one in built):  # goes by what was measured, not by the iteration
        return
    groups = runner.optim_wrapper.param_groups
    size = {"epoch_length": len(loop.dataloader), "max_iters": loop.max_iters}
    plan = Schedule(settings, groups, **size, by_epoch=isinstance(loop, EpochBasedTrainLoop))
    for _ in range(done):
        plan.step()
    for there, here in zip(plan.schedulers, built, strict=True):
        here.load_state_dict(there.state_dict())
        for planned, group in zip(plan.groups, groups, strict=True):
            group[here.param_name] = planned[here.param_name]


class Remaining:
    """Batches of a loader without end, from the place where a run goes on; those before it are not read.

    MMEngine reads every batch again that has been trained on, which takes a late resume hours.

    Args:
        loader: of the training.
        done: batches that have been trained on, over all epochs. As many ``None`` come first, for MMEngine to pass.
    """

    def __init__(self, loader: Any, done: int) -> None:
        self._loader, self._passed = loader, done
        self._epoch, self._start = divmod(done, len(loader))
        self._sampler = loader.sampler
        self._iterator: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._passed:
            self._passed -= 1
            return None
        if self._iterator is None:
            self._begin(self._start)
        try:
            return next(self._iterator)
        except StopIteration:
            self._epoch += 1
            self._begin(0)
            return next(self._iterator)

    def _begin(self, start: int) -> None:
        self._iterator = None  # lets go of the workers of the epoch before
        if hasattr(self._sampler, "set_epoch"):
            self._sampler.set_epoch(self._epoch)
        batches = self._loader.batch_sampler
        left_out = hasattr(batches, "sampler")
        if left_out:
            batches.sampler = _Rest(self._sampler, start * batches.batch_size) if start else self._sampler
        self._iterator = iter(self._loader)
        for _ in range(0 if left_out else start):
            next(self._iterator)


class _Rest:
    """A sampler without its first samples; as long as before, as the length of the epoch stays what it is."""

    def __init__(self, sampler: Any, start: int) -> None:
        self._sampler, self._start = sampler, start

    def __iter__(self) -> Iterator[int]:
        return itertools.islice(iter(self._sampler), self._start, None)

    def __len__(self) -> int:
        return len(self._sampler)


def _record(runner: Any, earlier: str | None) -> dict[str, Any]:
    """Return the record of a checkpoint; the first ones wrote the parts of the model one by one."""
    if earlier is None:
        raise CheckpointError(
            f"the checkpoint resumed in {runner.work_dir} is not of a run of pathplugins; start without --resume"
        )
    before = json.loads(earlier)
    parts = {name.removeprefix("model."): value for name, value in before.items() if name.startswith("model.")}
    rest = {name: value for name, value in before.items() if not name.startswith("model.")}
    return {**rest, "model": parts} if parts else rest


def _batch_size(loader: Any) -> int:
    return loader.batch_size or getattr(loader.batch_sampler, "batch_size", 1)


def _deepspeed(strategy: Any) -> dict[str, Any] | None:
    """Return what ``--deepspeed`` says of precision, sharding and clipping."""
    if strategy is None:
        return None
    config = strategy.get("config") or {}
    kinds = {name: (config.get(name) or {}).get("enabled") for name in ("fp16", "bf16")}
    return {
        **kinds,
        "stage": (config.get("zero_optimization") or {}).get("stage"),
        "gradient_clipping": strategy.get("gradient_clipping"),
    }


def _plain(value: Any) -> Any:
    """Return a value of a config without MMEngine's types; what is imported by its name."""
    return value.to_dict() if hasattr(value, "to_dict") else value
