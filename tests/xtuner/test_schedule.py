"""A warm-up ends at the full rate whatever the size of the data, and a run that never gets there is not started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import ConstantLR, CosineAnnealingLR, LinearLR

from pathplugins.commands.configs import folder
from pathplugins.core.errors import PathPluginsError
from pathplugins.models.learning_rates import mark_learning_rates
from pathplugins.xtuner.optim import adamw_by_module
from pathplugins.xtuner.schedule import Schedule, WarmUpLR, check_schedule

pytestmark = pytest.mark.host

LR = 2e-3
RUNS = [path.stem for path in sorted(folder("xtuner").glob("*.py")) if path.stem != "pathology_base"]


def usual(kind: type = WarmUpLR, share: float = 0.03, epochs: int = 1) -> list[dict[str, Any]]:
    shared = {"by_epoch": True, "convert_to_iter_based": True}
    return [
        {"type": kind, "start_factor": 1e-5, "begin": 0, "end": share * epochs, **shared},
        {"type": CosineAnnealingLR, "eta_min": 0.0, "begin": share * epochs, "end": epochs, **shared},
    ]


def loop(iterations: int, epochs: int = 1) -> Any:
    return SimpleNamespace(dataloader=range(iterations), max_iters=iterations * epochs)


def config(schedule: Any, counts: int = 1, **other: Any) -> Any:
    wrapper = {"optimizer": {"lr": LR}, "accumulative_counts": counts}
    return ConfigDict(param_scheduler=schedule, optim_wrapper=wrapper, **other)


def rates(schedule: Any, iterations: int, lr: float = LR) -> list[float]:
    plan = Schedule(schedule, [{"lr": lr}], epoch_length=iterations, max_iters=iterations)
    found = []
    for _ in range(iterations):
        found.append(plan.groups[0]["lr"])
        plan.step()
    return found


@pytest.mark.parametrize(
    ("iterations", "warm"), [(7, 0), (33, 0), (34, 1), (66, 1), (67, 2), (100, 3), (101, 3), (1000, 30)]
)
def test_the_full_rate_comes_after_the_warm_up(iterations: int, warm: int) -> None:
    found = rates(usual(), iterations)
    assert int(0.03 * iterations) == warm
    if warm < 2:
        assert found[0] == LR
    else:
        line = torch.linspace(1e-5, 1, warm) * LR
        assert found[:warm] == pytest.approx(line.tolist(), rel=1e-4)
        assert found[:warm] == rates(usual(LinearLR), iterations)[:warm], "published"
    assert max(found) == pytest.approx(LR)
    assert found[warm:] == sorted(found[warm:], reverse=True)
    assert found[-1] < 0.2 * LR
    check_schedule(config(usual()), loop(iterations))


@pytest.mark.parametrize(
    ("iterations", "said"),
    [
        (50, r"2e-08 at most in all 50 iterations .* below a tenth of lr 0\.002.*\(LinearLR\) comes to 1 iteration"),
        (20, r"param_scheduler\[0\] \(LinearLR\) goes from epoch 0 to 0\.03, which is no whole iteration: .* has 20;"),
    ],
)
def test_the_hosts_own_warm_up_is_refused_where_it_never_ends(iterations: int, said: str) -> None:
    with pytest.raises(PathPluginsError, match=said) as raised:
        check_schedule(config(usual(LinearLR)), loop(iterations))
    assert "write type=WarmUpLR in its place, and above `from pathplugins.xtuner.schedule import" in str(raised.value)
    named = usual("mmengine.optim.LinearLR")  # as in a config that MMEngine wrote down
    with pytest.raises(PathPluginsError, match=said):
        check_schedule(config(named), loop(iterations))


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ([{"type": LinearLR, "start_factor": 1e-5, "end": 2}], r"counts epochs, .* write convert_to_iter_based=True"),
        ([{"type": LinearLR, "start_factor": 0.05, "end_factor": 0.05, "by_epoch": False}], "0.0001 at most .* or lr"),
    ],
)
def test_other_ways_to_train_next_to_nothing_are_refused(schedule: Any, said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        check_schedule(config(schedule), loop(40, epochs=3))


def test_only_rates_at_which_the_optimizer_steps_count() -> None:
    peak = [  # full at one iteration in the middle, between two steps
        {"type": LinearLR, "start_factor": 1e-5, "begin": 0, "end": 6, "by_epoch": False},
        {"type": ConstantLR, "factor": 1e-5, "begin": 6, "end": 30, "by_epoch": False},
    ]
    check_schedule(config(peak, counts=1), loop(24))
    check_schedule(config(peak, counts=6), loop(24))
    with pytest.raises(PathPluginsError, match="below a tenth"):
        check_schedule(config(peak, counts=8), loop(24))


def test_deepspeed_does_not_step_after_the_last_iteration() -> None:
    level = [{"type": LinearLR, "start_factor": 1.0, "by_epoch": False}]
    check_schedule(config(level, counts=9), loop(8))
    with pytest.raises(
        PathPluginsError, match="the optimizer steps every 9 iterations of 8: lower accumulative_counts"
    ):
        check_schedule(config(usual(), counts=9), loop(8))  # where the cosine has all but ended
    strategy = {"gradient_accumulation_steps": 9}
    with pytest.raises(
        PathPluginsError, match="would never step: DeepSpeed steps every 9 iterations, and the run has 8"
    ):
        check_schedule(config(level, strategy=strategy), loop(8))


def test_every_group_keeps_its_share() -> None:
    parts = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 4), "projector": torch.nn.Linear(2, 3)})
    mark_learning_rates(parts, {"projector": 0.5})
    optimizer = adamw_by_module(parts.parameters(), lr=LR, weight_decay=0.1)
    plan = Schedule(usual(), optimizer.param_groups, epoch_length=100, max_iters=100)
    for _ in range(60):
        plan.step()
        first = plan.groups[0]["lr"]
        assert [group["lr"] / first for group in plan.groups] == pytest.approx([1, 1, 0.5, 0.5])
    assert 0 < first < LR
    assert optimizer.param_groups[0]["lr"] == LR, "nothing of the run itself is moved"


@pytest.mark.parametrize("name", RUNS)
def test_every_shipped_config_reaches_its_rate_on_little_data(name: str) -> None:
    cfg = Config.fromfile(folder("xtuner") / f"{name}.py")
    lr, epochs, counts = cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_epochs, cfg.optim_wrapper.accumulative_counts
    for iterations in (1, 4, 10, 50, 700):
        total = iterations * epochs
        if not cfg.param_scheduler or total <= counts:  # one step, at the end of the cosine, is refused (see above)
            continue
        check_schedule(cfg, loop(iterations, epochs))
        plan = Schedule(cfg.param_scheduler, [{"lr": lr}], epoch_length=iterations, max_iters=total)
        found = []
        for done in range(1, total + 1):
            found += [plan.groups[0]["lr"]] if done % counts == 0 or done == total else []
            plan.step()
        assert max(found) > (0.8 if total > 3 * counts else 0.1) * lr, (name, iterations)
