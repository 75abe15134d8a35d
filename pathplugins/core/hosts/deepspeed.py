"""The symbol of DeepSpeed that we lean on, under either trainer."""

from __future__ import annotations

from pathplugins.core.touch_points import TouchPoint

DEEPSPEED = TouchPoint(
    path="deepspeed.runtime.zero.partition_parameters:Init._allgather_params_coalesced",
    uses=("self", "param_list"),
    replaced="without a GPU",
    why="else ZeRO-3 loses weights while it loads them, see pathplugins.deepspeed_cpu",
    drop_when="DeepSpeed waits for each weight it gathers",
    optional=True,
)
