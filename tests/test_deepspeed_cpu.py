"""What DeepSpeed's ZeRO-3 gathers on two processes without a GPU is there before it is written to.

Run as a script it imports DeepSpeed and becomes the two; with the argument ``stock`` DeepSpeed is left as it is.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

ROUNDS, ROWS = 60, 1024

pytestmark = pytest.mark.host


def run(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, __file__, *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)


def test_weights_that_are_loaded_stay() -> None:
    done = run()
    assert f"lost 0 of {ROUNDS}\n" in done.stdout, done.stdout[-500:] + done.stderr[-3000:]


def test_an_accelerator_gathers_as_deepspeed_does() -> None:
    from types import SimpleNamespace

    from pathplugins.deepspeed_cpu import apply

    calls = []

    def stock() -> SimpleNamespace:
        class Init:
            def _allgather_params_coalesced(self, param_list: list[str], hierarchy: int = 0) -> None:
                calls.append((param_list, hierarchy))

        return SimpleNamespace(Init=Init)

    for synchronized, expected in ((False, [(["a", "b"], 1)]), (True, [(["a"], 1), (["b"], 1)])):
        module = stock()
        module.get_accelerator = lambda now=synchronized: SimpleNamespace(is_synchronized_device=lambda: now)
        apply("deepspeed.runtime.zero.partition_parameters", module)  # type: ignore[arg-type]
        calls.clear()
        module.Init()._allgather_params_coalesced(["a", "b"], hierarchy=1)
        assert calls == expected


def main(stock: bool) -> None:
    """Load a linear layer again and again as Transformers does: gathered, written by the first process, partitioned."""
    if stock:
        from pathplugins.bootstrap import FINDER

        FINDER.adapters.pop("deepspeed.runtime.zero.partition_parameters")
    import deepspeed
    import torch

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": "2"}
    second = os.fork()
    number = "0" if second else "1"
    os.environ |= {**where, "RANK": number, "LOCAL_RANK": number}
    deepspeed.init_distributed("gloo", verbose=False)
    rank, lost = torch.distributed.get_rank(), 0
    with deepspeed.zero.Init(config_dict_or_path={"zero_optimization": {"stage": 3}, "train_batch_size": 2}):
        layer = torch.nn.Linear(ROWS, ROWS)  # the weight is gathered first and takes longer than the bias
    for number in range(ROUNDS):
        with deepspeed.zero.GatheredParameters(list(layer.parameters()), modifier_rank=0):
            if rank == 0:
                torch.nn.init.constant_(layer.weight, number)
        lost += not bool((layer.weight.ds_tensor == number).all())
    if rank == 0:
        sys.stdout.write(f"lost {lost} of {ROUNDS}\n")
        sys.stdout.flush()
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    if second:
        os.waitpid(second, 0)


if __name__ == "__main__":
    main("stock" in sys.argv)
