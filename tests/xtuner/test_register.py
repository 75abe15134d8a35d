"""What lets a stock XTuner run without an accelerator and beside PyTorch 2.6: does what it says, and no more (A24).

Run as a script in a process without our hook it tells what each module of the host does before and after ours.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub

from pathplugins import bootstrap
from pathplugins.core import hosts
from pathplugins.core.versions import refuses_classes_in_checkpoints
from pathplugins.xtuner import register

pytestmark = pytest.mark.host

PICKY = refuses_classes_in_checkpoints(torch.__version__)


def choose_backend(module: ModuleType) -> str:
    """The line of `xtuner train --launcher pytorch` that chooses a CUDA device; the backend of the shipped configs."""
    with tempfile.TemporaryDirectory() as folder:
        module._init_dist_pytorch("nccl", init_method=f"file://{folder}/store", rank=0, world_size=1)
        backend = torch.distributed.get_backend()
        torch.distributed.all_reduce(torch.ones(2))
        torch.distributed.destroy_process_group()
    return backend


def wrap(module: ModuleType) -> str:
    """As MMEngine's runner does, which names the device by its number."""
    with tempfile.TemporaryDirectory() as folder:
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        try:
            wrapped = module.MMDistributedDataParallel(module=torch.nn.Linear(3, 2), device_ids=[0])
            wrapped(torch.ones(1, 3)).sum().backward()
            return str(wrapped.module.weight.grad.shape)
        finally:
            torch.distributed.destroy_process_group()


def move(module: ModuleType) -> str:
    return str(module.BaseDataPreprocessor().cuda().device)


def train(module: ModuleType) -> list[str]:
    """A step as the shipped configs say: float16 and dynamic scaling. The first weight moves by the rate."""
    layer = torch.nn.Linear(3, 2, bias=False)
    torch.nn.init.zeros_(layer.weight)
    options = {"dtype": "float16", "loss_scale": "dynamic", "clip_grad": {"max_norm": 10.0}}
    wrapper = module.AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=0.5), **options)
    with wrapper.optim_context(layer):
        output = layer(torch.ones(1, 3))
    wrapper.update_params(output.float().sum())
    again = wrapper.state_dict()
    wrapper.load_state_dict(again)
    return [str(output.dtype), str(layer.weight.tolist()[0][0])]


def half_precision(module: ModuleType) -> Any:
    auto = {"fp16": {"enabled": "auto"}, "bf16": {"enabled": "auto"}}
    said = {"fp16": {"enabled": True}, "zero_optimization": {"stage": 2}}
    return [module.auto_dtype_of_deepspeed_config(config) for config in (auto, said)]


def bfloat16(module: ModuleType) -> bool:
    return module.get_torch_device().is_bf16_supported()


CASES: dict[str, tuple[Callable[[ModuleType], Any], Any]] = {
    "mmengine.dist.utils": (choose_backend, "gloo"),
    "mmengine.model.wrappers.distributed": (wrap, "torch.Size([2, 3])"),
    "mmengine.model.base_model.data_preprocessor": (move, "cpu"),
    "mmengine.optim.optimizer.amp_optimizer_wrapper": (train, ["torch.bfloat16", "-0.5"]),
    "xtuner.utils.device": (bfloat16, True),
    "xtuner.tools.utils": (
        half_precision,
        [
            {"fp16": {"enabled": False}, "bf16": {"enabled": True}},
            {"fp16": {"enabled": True}, "zero_optimization": {"stage": 2}},
        ],
    ),
}
"""Module -> what is done with it on a machine without accelerator, and what comes of it with our hook."""
WORKS_ANYWAY = {"xtuner.tools.utils"}
"""What the host can do by itself by the time its own modules before it have been mended."""


def outcome(name: str, module: ModuleType) -> Any:
    try:
        return CASES[name][0](module)
    except (AssertionError, AttributeError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def names(module: ModuleType) -> dict[str, Any]:
    """Every name of a module, and every one of a class it defines."""
    own = {key: value for key, value in vars(module).items() if isinstance(value, type)}
    own = {key: value for key, value in own.items() if value.__module__ == module.__name__}
    return {**vars(module), **{f"{cls}.{key}": value for cls in own for key, value in vars(own[cls]).items()}}


def tell() -> dict[str, Any]:
    """Per module: as the host has it, where there is an accelerator, where there is none, and after a second call."""
    found: dict[str, Any] = {}
    # Without these two XTuner cannot even be imported here.
    ours = {name: bootstrap.ADAPTERS[name] for name in ("bitsandbytes.triton.triton_utils", "triton.runtime.driver")}
    sys.meta_path.insert(0, bootstrap.Finder(ours))
    there_is_none = register.no_accelerator
    replaced: list[str] = []
    for name in CASES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            found[name] = None  # XTuner 0.1.23 has no xtuner.utils.device
            continue
        stages = [outcome(name, module)]
        register.no_accelerator = lambda: False
        register.apply(name, module)
        stages.append(outcome(name, module))
        register.no_accelerator = there_is_none
        before = names(module)
        for _ in "12":
            register.apply(name, module)
            stages.append(outcome(name, module))
        found[name] = stages
        after = names(module)
        replaced += [f"{name}:{key}" for key, value in after.items() if before.get(key) is not value]
    return {**found, "replaced": replaced}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("register") / "told.json"
    own = {"PATHPLUGINS_DISABLE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    own |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    line = [sys.executable, __file__, str(out)]
    done = subprocess.run(line, env={**os.environ, **own}, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(out.read_text())


def test_each_module_is_mended_by_one_adapter() -> None:
    ours = {name for name, adapter in bootstrap.ADAPTERS.items() if adapter == register.__name__}
    assert ours == {*register.EVERYWHERE, *register.WITHOUT_ACCELERATOR}
    assert set(register.WITHOUT_ACCELERATOR) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a24_without_an_accelerator_the_host_works(told: dict[str, Any], name: str) -> None:
    if told[name] is None:
        pytest.skip("this XTuner has no such module")
    host, elsewhere, here, again = told[name]
    wanted = CASES[name][1]
    assert here == wanted
    assert again == here, "a second call changes nothing"
    assert elsewhere == host, "where there is an accelerator nothing is changed"
    if name not in WORKS_ANYWAY:
        assert host != wanted, "the host can do this by itself: the hook can go"


def test_what_is_replaced_is_what_the_list_says(told: dict[str, Any]) -> None:
    listed = [point.path for point in hosts.XTUNER if point.replaced == "without a GPU"]
    listed = [path for path in listed if not path.startswith("deepspeed.")]
    assert sorted(told["replaced"]) == sorted(listed)


@pytest.mark.parametrize("name", sorted(set(register.WITHOUT_ACCELERATOR) - set(register.EVERYWHERE)))
def test_where_there_is_an_accelerator_nothing_is_touched(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouchable(ModuleType):
        def __getattr__(self, attribute: str) -> Any:
            raise AssertionError(f"{attribute} was looked at")

    monkeypatch.setattr(register, "no_accelerator", lambda: False)
    module = Untouchable(name)
    before = dict(vars(module))
    register.apply(name, module)
    assert vars(module) == before


def test_no_accelerator_is_what_mmengine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmengine.device.get_device", lambda: "npu")
    assert not register.no_accelerator()
    monkeypatch.setattr("mmengine.device.get_device", lambda: "cpu")
    assert register.no_accelerator()


def test_xtuner_can_be_imported_beside_a_triton_without_a_gpu() -> None:
    """bitsandbytes 0.45.0 and triton 3.2 end such an import by themselves; here only that ours lets it pass."""
    words = "import bitsandbytes; from triton.runtime.driver import driver; driver.active; print('through')"
    own = {"CUDA_VISIBLE_DEVICES": "", "PATHPLUGINS_STRICT": "1"}
    line = [sys.executable, "-c", words]
    done = subprocess.run(line, env={**os.environ, **own}, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout.strip().endswith("through")) == (0, True), done.stderr[-2000:]


# Checkpoints: what MMEngine writes is read, what runs code is not.


@pytest.fixture
def read() -> Any:
    """MMEngine's reader of checkpoints, with PyTorch as if our hook had never run."""
    if not PICKY:
        pytest.skip("this PyTorch reads whatever a checkpoint holds")
    module = importlib.import_module("mmengine.runner.checkpoint")  # not above: the script cannot import it
    known = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield lambda path: module._load_checkpoint(str(path), map_location="cpu")
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(known)


def checkpoint() -> dict[str, Any]:
    """What MMEngine's runner puts beside the weights."""
    hub = MessageHub.get_instance("test_register")
    for step, loss in enumerate((0.7, 0.5)):
        hub.update_scalar("train/loss", torch.tensor(loss), step + 1)
        hub.update_scalar("train/lr", loss)
    hub.update_info("pathplugins_run", "text")
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    meta = {"epoch": 1, "iter": 2, "cfg": "a = 1", "time": "20250101", "seed": 7}
    schedule = [OrderedDict(by_epoch=False, base_values=[1e-4], last_step=2)]
    return {
        **{"meta": meta, "state_dict": OrderedDict(weight=torch.ones(2)), "message_hub": hub.state_dict()},
        **{"optimizer": optimizer.state_dict(), "param_schedulers": schedule, "config": ConfigDict(lr=1e-4)},
    }


def test_a_checkpoint_of_mmengine_is_read(read: Any, tmp_path: Path) -> None:
    torch.save(checkpoint(), tmp_path / "iter_2.pth")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        read(tmp_path / "iter_2.pth")
    for _ in "12":
        register.apply("mmengine.runner.checkpoint", sys.modules["mmengine.runner.checkpoint"])
    state = read(tmp_path / "iter_2.pth")
    loss = state["message_hub"]["log_scalars"]["train/loss"]
    assert type(loss) is HistoryBuffer
    assert loss.mean() == pytest.approx(1.2 / 3)  # of 1 and 2 samples
    assert loss.statistics("current") == pytest.approx(0.5)
    assert state["optimizer"]["state"][0]["step"] == 1


class Runs:
    """A pickle that calls a function with an argument."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "attack",
    [
        lambda marker: Runs(os.mkdir, marker),
        lambda marker: Runs(eval, f"__import__('os').mkdir({marker!r})"),
        lambda marker: Runs(getattr, OrderedDict, "fromkeys"),  # by `getattr` a HistoryBuffer's statistics are pickled
        lambda marker: Runs(getattr, HistoryBuffer(), "__reduce__"),
        lambda marker: Runs(importlib.import_module, "antigravity"),
    ],
    ids=["function", "eval", "getattr of a class", "getattr of an object", "import"],
)
def test_a_checkpoint_that_runs_code_is_refused(read: Any, tmp_path: Path, attack: Callable[[str], Any]) -> None:
    register.apply("mmengine.runner.checkpoint", sys.modules["mmengine.runner.checkpoint"])
    torch.save({**checkpoint(), "extra": attack(str(tmp_path / "marker"))}, tmp_path / "iter_2.pth")
    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        read(tmp_path / "iter_2.pth")
    assert not (tmp_path / "marker").exists()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(tell()))
