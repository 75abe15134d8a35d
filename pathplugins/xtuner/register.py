"""Let a stock ``xtuner train`` run on a machine without an accelerator, and beside PyTorch 2.6 or newer.

XTuner's configurations import our model and datasets by name, so nothing is registered. What is left are places in
MMEngine and XTuner that take a GPU for granted, two that a newer PyTorch and its triton broke, and those that read a
checkpoint or make a folder before we can look at it. Each function here is called for one module, right after it was
executed; those of ``WITHOUT_ACCELERATOR`` do nothing where there is a GPU. Each symbol that is replaced stands in
``pathplugins.core.hosts`` with why, and when it can go.
"""

from __future__ import annotations

import functools
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pathplugins.core.versions import refuses_classes_in_checkpoints


def no_accelerator() -> bool:
    """Whether MMEngine, too, would train on the CPU; it knows more kinds of accelerator than CUDA."""
    from mmengine.device import get_device

    return get_device() == "cpu"


def on_checkpoint(module: ModuleType) -> None:
    """Name, for ``mmengine.runner.checkpoint``, the classes that checkpoints of MMEngine hold beside tensors.

    PyTorch 2.6 reads what it knows to be harmless and refuses the rest. This adds what a log of numbers consists of,
    where ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` would let any file run any code.
    """
    import numpy
    import torch
    from mmengine.config import ConfigDict
    from mmengine.logging import HistoryBuffer

    del module
    if not refuses_classes_in_checkpoints(torch.__version__):
        return

    def statistic(owner: type, name: str) -> Any:
        if owner is not HistoryBuffer:
            raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r}) is in no checkpoint that MMEngine writes")
        return getattr(owner, name)

    number = numpy.float64(0)
    rebuild, scalar = (value.__reduce__()[0] for value in (numpy.zeros(0), number))
    numpy_names = ("numpy._core.multiarray", "numpy.core.multiarray")  # as NumPy 2 and NumPy 1 write them
    safe: list[Any] = [HistoryBuffer, ConfigDict, numpy.ndarray, numpy.dtype, (statistic, "builtins.getattr")]
    safe += [type(numpy.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "?")]
    safe += [(part, f"{name}.{part.__name__}") for part in (rebuild, scalar) for name in numpy_names]
    torch.serialization.add_safe_globals(safe)


def on_dist(module: ModuleType) -> None:
    """Let processes talk by gloo in ``mmengine.dist.utils``, and choose no CUDA device."""

    @functools.wraps(module._init_dist_pytorch)
    def start(backend: str, init_backend: str = "torch", **options: Any) -> None:
        backend = "gloo" if backend == "nccl" else backend  # what every shipped configuration says
        if init_backend == "deepspeed":
            import deepspeed

            deepspeed.init_distributed(dist_backend=backend, **options)
        else:
            module.torch_dist.init_process_group(backend=backend, **options)

    module._init_dist_pytorch = start


def on_wrapper(module: ModuleType) -> None:
    """Drop device numbers in ``mmengine.model.wrappers.distributed``: DDP takes none for a model on the CPU."""
    original = module.MMDistributedDataParallel.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, device_ids: Any = None, **options: Any) -> None:
        del device_ids
        original(self, *args, **options)

    module.MMDistributedDataParallel.__init__ = init


def on_data_preprocessor(module: ModuleType) -> None:
    """Keep ``mmengine.model.base_model.data_preprocessor`` on the CPU; XTuner 0.1.23 sends it to CUDA."""
    module.BaseDataPreprocessor.cuda = lambda self, *args, **kwargs: self.to("cpu")


def on_amp(module: ModuleType) -> None:
    """Use bfloat16 without scaling in ``mmengine.optim.optimizer.amp_optimizer_wrapper``, the CPU's half precision."""
    import torch

    cls = module.AmpOptimWrapper

    @functools.wraps(cls.__init__)
    def init(self: Any, loss_scale: Any = "dynamic", dtype: Any = None, use_fsdp: bool = False, **options: Any) -> None:
        del loss_scale, dtype, use_fsdp
        super(cls, self).__init__(**options)
        self._scale_update_param = None
        self.loss_scaler = module.GradScaler(enabled=False)
        self.cast_dtype = torch.bfloat16

    cls.__init__ = init


def on_device(module: ModuleType) -> None:
    """Give ``torch.cpu`` the function that ``xtuner.utils.device`` (0.2.0) asks and only ``torch.cuda`` has."""
    import torch

    del module
    if not hasattr(torch.cpu, "is_bf16_supported"):
        torch.cpu.is_bf16_supported = lambda: True


def on_tools(module: ModuleType) -> None:
    """Read "auto" in a DeepSpeed file as bfloat16, the one half precision of the CPU, in ``xtuner.tools.utils``."""

    @functools.wraps(module.auto_dtype_of_deepspeed_config)
    def choose(config: dict[str, Any]) -> dict[str, Any]:
        for name, enabled in (("fp16", False), ("bf16", True)):
            if config.get(name, {}).get("enabled") == "auto":
                config[name]["enabled"] = enabled
        return config

    module.auto_dtype_of_deepspeed_config = choose


def on_resume(module: ModuleType) -> None:
    """Say of a checkpoint that is cut short that it is, and which one before it is whole, in ``xtuner.tools.utils``.

    ``xtuner train --resume`` opens the file for its seed before anything of ours is asked.
    """
    from pathplugins.xtuner.whole_checkpoints import require_whole

    original = module.get_seed_from_checkpoint
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def read(pth_model: str) -> Any:
        require_whole(Path(pth_model))
        return original(pth_model)

    module.get_seed_from_checkpoint = read


def on_chat(module: ModuleType) -> None:
    """End ``xtuner chat`` where it is to ask a model of ours, before ``xtuner.tools.chat`` loads anything."""
    from pathplugins.xtuner.chat import refusal

    del module
    if said := refusal(sys.argv):
        raise SystemExit(said)


def on_runner(module: ModuleType) -> None:
    """Let the runners of ``mmengine.runner`` look at the work directory of our model's run before they build anything.

    MMEngine makes folders at once, in an error of its own, and finds out that a disk is full with the first checkpoint.
    """
    from pathplugins.core.disks import check_writable

    cls = getattr(module, "Runner", None) or module.FlexibleRunner
    original = cls.__init__
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def init(self: Any, model: Any, *args: Any, **options: Any) -> None:
        if isinstance(model, dict) and "PathologyLLaVAModel" in str(model.get("type")):
            check_writable(Path(args[0] if args else options.get("work_dir", "work_dirs")))
        original(self, model, *args, **options)

    cls.__init__ = init


def on_bitsandbytes(module: ModuleType) -> None:
    """Tell bitsandbytes 0.45.0, which XTuner 0.2.0 pins, that there is no ``triton.ops`` since triton 3.2."""
    from importlib.util import find_spec

    available = module.is_triton_available
    module.is_triton_available = lambda: available() and find_spec("triton.ops") is not None


def on_triton(module: ModuleType) -> None:
    """Give ``triton.runtime.driver`` (3.2), which importing DeepSpeed asks for its GPU, a driver without a device."""
    import torch

    if torch.cuda.is_available() or not hasattr(module.driver, "set_active"):
        return

    class NoDevice:
        def get_benchmarker(self) -> Callable[..., Any]:
            return self.__getattr__

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("triton has no GPU to run on")

    module.driver.set_active(NoDevice())


EVERYWHERE: dict[str, Callable[[ModuleType], None]] = {
    "bitsandbytes.triton.triton_utils": on_bitsandbytes,
    "mmengine.runner._flexible_runner": on_runner,
    "mmengine.runner.checkpoint": on_checkpoint,
    "mmengine.runner.runner": on_runner,
    "triton.runtime.driver": on_triton,  # imported before MMEngine can be asked
    "xtuner.tools.chat": on_chat,
    "xtuner.tools.utils": on_resume,
}

WITHOUT_ACCELERATOR: dict[str, Callable[[ModuleType], None]] = {
    "mmengine.dist.utils": on_dist,
    "mmengine.model.base_model.data_preprocessor": on_data_preprocessor,
    "mmengine.model.wrappers.distributed": on_wrapper,
    "mmengine.optim.optimizer.amp_optimizer_wrapper": on_amp,
    "xtuner.tools.utils": on_tools,
    "xtuner.utils.device": on_device,
}


def apply(name: str, module: ModuleType) -> None:
    """Run the hook of one module."""
    if name in EVERYWHERE:
        EVERYWHERE[name](module)
    if name in WITHOUT_ACCELERATOR and no_accelerator():
        WITHOUT_ACCELERATOR[name](module)
