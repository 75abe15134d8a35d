"""The training loop of the configs: XTuner's, after a look at what would go wrong only later."""

from __future__ import annotations

from typing import Any

from xtuner.engine.runner import TrainLoop

from pathplugins.xtuner.configs import check_agreement
from pathplugins.xtuner.schedule import check_schedule
from pathplugins.xtuner.whole_checkpoints import choose_checkpoint


class PathologyTrainLoop(TrainLoop):
    """XTuner's loop, which is built before the schedule is and before any checkpoint is read.

    Args:
        runner: of the run.
        dataloader: what the config says of it.
        **options: ``max_epochs`` or ``max_iters``.
    """

    def __init__(self, runner: Any, dataloader: Any, **options: Any) -> None:
        super().__init__(runner, dataloader, **options)
        look_ahead(runner, self)


def look_ahead(runner: Any, loop: Any) -> None:
    """Refuse what cannot train, and choose the checkpoint to resume; may be called again."""
    check_agreement(runner.cfg)
    check_schedule(runner.cfg, loop)
    choose_checkpoint(runner)
