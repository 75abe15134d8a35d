"""The learning rate's way through a run: a warm-up that always ends, and the rates of a run before it is started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.optim import LinearLR
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import EpochBasedTrainLoop

from pathplugins.core.errors import PathPluginsError
from pathplugins.xtuner.configs import iterations_of_step

ENOUGH = 0.1
"""Share of its rate that a run must reach somewhere."""


class WarmUpLR(LinearLR):
    """MMEngine's ``LinearLR``, but none at all where it would take fewer than two iterations.

    MMEngine 0.10 cuts a warm-up given in epochs to whole iterations. One of them never leaves ``start_factor``, so that
    the whole run trains at a hundred-thousandth of its rate, and none is an error.
    """

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, begin: float = 0, end: float, epoch_length: int, **options: Any
    ) -> WarmUpLR:
        """Build the warm-up in iterations, from ``begin`` and ``end`` in epochs of ``epoch_length`` iterations."""
        first, last = _iterations(begin, epoch_length), _iterations(end, epoch_length)
        if last - first < 2:
            options = {**options, "by_epoch": False, "start_factor": 1.0}
            return cls(*args, begin=first, end=first + 1, **options)
        return super().build_iter_from_epoch(*args, begin=begin, end=end, epoch_length=epoch_length, **options)


class Schedule:
    """The schedulers of a config over an optimizer that holds nothing, from the first iteration on.

    Args:
        settings: ``param_scheduler`` of a config.
        groups: of the optimizer: their settings, and ``initial_*`` where a scheduler has moved one.
        epoch_length: iterations of an epoch.
        max_iters: iterations of the run.
        by_epoch: the loop counts epochs, as XTuner's does not.
    """

    def __init__(
        self,
        settings: Sequence[Mapping[str, Any]],
        groups: Iterable[Mapping[str, Any]],
        *,
        epoch_length: int,
        max_iters: int,
        by_epoch: bool = False,
    ) -> None:
        started = [{"params": [torch.nn.Parameter(torch.zeros(1))], **_at_first(group)} for group in groups]
        self.optimizer = torch.optim.Optimizer(started, {})
        self._epoch_length, self._by_epoch, self._done = epoch_length, by_epoch, 0
        epochs = max_iters // epoch_length if by_epoch else 1
        self.schedulers = [
            PARAM_SCHEDULERS.build(
                {"end": epochs if one.get("by_epoch", True) else max_iters, **one},
                default_args={"optimizer": self.optimizer, "epoch_length": epoch_length},
            )
            for one in settings
        ]
        self.optimizer._global_step = 0  # else MMEngine warns of an optimizer that has not stepped yet

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The optimizer's groups, as they stand for the next iteration."""
        return self.optimizer.param_groups

    def step(self) -> None:
        """Go on by one iteration."""
        self._done += 1
        for scheduler in self.schedulers:
            if not scheduler.by_epoch or (self._by_epoch and self._done % self._epoch_length == 0):
                scheduler.step()


def check_schedule(cfg: Any, loop: Any) -> None:
    """Refuse a run whose learning rate stays below a tenth of what the config says, whatever it trains.

    Args:
        cfg: the training config.
        loop: its training loop, which knows how long the run is.

    Raises:
        PathPluginsError: with the reason, and the line to write.
    """
    settings, lr = cfg.get("param_scheduler"), cfg.optim_wrapper.get("optimizer", {}).get("lr")
    if not isinstance(settings, Sequence) or not settings or not lr:
        return
    size = {"epoch_length": len(loop.dataloader), "max_iters": loop.max_iters}
    for number, one in enumerate(settings):
        _check_length(number, one, **size)
    plan = Schedule(settings, [{"lr": lr}], **size, by_epoch=isinstance(loop, EpochBasedTrainLoop))
    highest = 0.0
    counts, deepspeed = iterations_of_step(cfg), cfg.get("strategy") is not None
    if deepspeed and counts > loop.max_iters:
        raise PathPluginsError(
            f"the optimizer would never step: DeepSpeed steps every {counts} iterations, and the run has "
            f"{loop.max_iters}; lower accumulative_counts, or raise max_epochs"
        )
    for rate in _rates_of_steps(plan, loop.max_iters, counts, last=not deepspeed):
        highest = max(highest, rate)
        if highest >= ENOUGH * lr:
            return
    raise PathPluginsError(
        f"param_scheduler: the learning rate is {highest:.3g} at most in all {loop.max_iters} iterations of this run, "
        f"below a tenth of lr {lr:.3g}: it would train next to nothing; {_reason(settings, counts, **size)}"
    )


def _rates_of_steps(plan: Schedule, max_iters: int, counts: int, *, last: bool) -> Iterator[float]:
    """Yield the rate of each iteration at whose end the optimizer steps; MMEngine's does after the last one, too."""
    for done in range(1, max_iters + 1):
        if done % counts == 0 or (last and done == max_iters):
            yield plan.groups[0]["lr"]
        plan.step()


_REPLACE = (
    "write type=WarmUpLR in its place, and above `from pathplugins.xtuner.schedule import WarmUpLR`, which leaves a "
    "warm-up of fewer than 2 iterations out"
)


def _check_length(number: int, one: Mapping[str, Any], *, epoch_length: int, max_iters: int) -> None:
    """Raise where MMEngine would, for a part of the schedule that is cut to no iteration at all."""
    if not one.get("convert_to_iter_based") or _warms_up(one):
        return
    end = one.get("end", max_iters / epoch_length)
    if _iterations(end, epoch_length) <= _iterations(one.get("begin", 0), epoch_length):
        raise PathPluginsError(
            f"param_scheduler[{number}] ({_name(one)}) goes from epoch {one.get('begin', 0):g} to {end:g}, which is no "
            f"whole iteration: an epoch of this data set has {epoch_length}; {_REPLACE}"
        )


def _reason(settings: Sequence[Mapping[str, Any]], counts: int, *, epoch_length: int, max_iters: int) -> str:
    for number, one in enumerate(settings):
        if one.get("by_epoch", True) and not one.get("convert_to_iter_based"):
            return (
                f"param_scheduler[{number}] ({_name(one)}) counts epochs, which never end in an iteration-based loop: "
                "write convert_to_iter_based=True into it"
            )
        length = _iterations(one.get("end", max_iters / epoch_length), epoch_length)
        length -= _iterations(one.get("begin", 0), epoch_length)
        if "start_factor" in one and one.get("convert_to_iter_based") and length < 2 and not _warms_up(one):
            return (
                f"param_scheduler[{number}] ({_name(one)}) comes to {length} iteration, and MMEngine never leaves its "
                f"start_factor {one['start_factor']:g} then: {_REPLACE}"
            )
    if counts > max_iters // 2:
        return f"the optimizer steps every {counts} iterations of {max_iters}: lower accumulative_counts"
    return "correct param_scheduler, or lr"


def _warms_up(one: Mapping[str, Any]) -> bool:
    kind = one["type"]
    kind = PARAM_SCHEDULERS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, WarmUpLR)


def _name(one: Mapping[str, Any]) -> str:
    return getattr(one["type"], "__name__", str(one["type"]).rpartition(".")[2])


def _iterations(epochs: float, epoch_length: int) -> int:
    return int(epochs * epoch_length)  # as MMEngine cuts it


def _at_first(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a group as they were before any scheduler moved them."""
    now = {name: value for name, value in group.items() if name != "params" and not name.startswith("initial_")}
    return {name: group.get(f"initial_{name}", value) for name, value in now.items()}
