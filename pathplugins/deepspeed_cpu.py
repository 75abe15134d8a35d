"""DeepSpeed ZeRO-3 on a machine without an accelerator: wait for every weight that is gathered, not for the last alone.

DeepSpeed gathers the weights of a module at once and waits for the last of them. Streams of a GPU run in order, so
that is enough there; gloo's threads do not, and what comes late is written over what was read from the checkpoint
meanwhile: the model trains with matrices of whatever the memory held.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any


def apply(name: str, module: ModuleType) -> None:
    """Mend ``deepspeed.runtime.zero.partition_parameters``, right after it was imported."""
    del name
    together = module.Init._allgather_params_coalesced

    @functools.wraps(together)
    def gather(self: Any, param_list: Sequence[Any], *args: Any, **options: Any) -> None:
        one_by_one = module.get_accelerator().is_synchronized_device()  # true of the CPU alone
        for params in [[param] for param in param_list] if one_by_one else [param_list]:
            together(self, params, *args, **options)

    module.Init._allgather_params_coalesced = gather
