"""Loads our adapter once a trainer's own module has been imported; standard library only, nothing heavy at start-up.

``pathplugins.pth`` calls :func:`install` in every interpreter of the environment, hence no ``typing``, ``dataclasses``
or ``importlib`` imports at the top: what every ``python -c pass`` of the user pays for is this file and nothing else.
"""

import sys
from _thread import get_ident
from os import environ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_LLAMAFACTORY = "pathplugins.llamafactory.register"
_XTUNER = "pathplugins.xtuner.register"

ADAPTERS = {
    "llamafactory.api.chat": _LLAMAFACTORY,
    "llamafactory.chat.chat_model": _LLAMAFACTORY,
    "llamafactory.chat.hf_engine": _LLAMAFACTORY,
    "llamafactory.data.converter": _LLAMAFACTORY,
    "llamafactory.data.loader": _LLAMAFACTORY,
    "llamafactory.data.mm_plugin": _LLAMAFACTORY,
    "llamafactory.data.template": _LLAMAFACTORY,
    "llamafactory.hparams.parser": _LLAMAFACTORY,
    "llamafactory.model.loader": _LLAMAFACTORY,
    "llamafactory.model.model_utils.quantization": _LLAMAFACTORY,
    "llamafactory.model.model_utils.visual": _LLAMAFACTORY,
    "llamafactory.train.dpo.workflow": _LLAMAFACTORY,
    "llamafactory.train.kto.workflow": _LLAMAFACTORY,
    "llamafactory.train.ppo.workflow": _LLAMAFACTORY,
    "llamafactory.train.pt.workflow": _LLAMAFACTORY,
    "llamafactory.train.rm.workflow": _LLAMAFACTORY,
    "llamafactory.train.sft.workflow": _LLAMAFACTORY,
    "llamafactory.webui.chatter": _LLAMAFACTORY,
    "bitsandbytes.triton.triton_utils": _XTUNER,
    "mmengine.dist.utils": _XTUNER,
    "mmengine.model.base_model.data_preprocessor": _XTUNER,
    "mmengine.model.wrappers.distributed": _XTUNER,
    "mmengine.optim.optimizer.amp_optimizer_wrapper": _XTUNER,
    "mmengine.runner._flexible_runner": _XTUNER,
    "mmengine.runner.checkpoint": _XTUNER,
    "mmengine.runner.runner": _XTUNER,
    "triton.runtime.driver": _XTUNER,
    "xtuner.tools.chat": _XTUNER,
    "xtuner.tools.utils": _XTUNER,
    "xtuner.utils.device": _XTUNER,
    "deepspeed.runtime.zero.partition_parameters": "pathplugins.deepspeed_cpu",
    "transformers.models.auto.configuration_auto": "pathplugins.models.custom_llava.auto",
}
"""Trainer module -> adapter whose ``apply(name, module)`` runs right after that module was executed.

Leaf modules only: an adapter registers into the module it was called for, so no import can become circular."""

FAILURES: list[tuple[str, str, str]] = []
"""(trainer module, message, traceback) of every adapter call that failed in this process."""


class _HookedLoader:
    """A module's own loader, with a call to ``after`` once the module has been executed."""

    def __init__(self, loader: "Any", after: "Callable[[str, ModuleType], None]") -> None:
        self._loader, self._after = loader, after

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)  # get_source, get_data, ...: whoever asks gets the real loader's answer

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        return self._loader.create_module(spec)

    def exec_module(self, module: "ModuleType") -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._after(module.__name__, module)


class Finder:
    """Meta-path finder that reacts to the names in ``adapters`` and lets every other import pass."""

    def __init__(self, adapters: dict[str, str]) -> None:
        self.adapters = adapters
        self._busy: set[tuple[str, int]] = set()

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the spec the other finders give, its loader wrapped; ``None`` for names that are not ours."""
        if name not in self.adapters:
            return None
        key = (name, get_ident())  # another hook that asks all finders, as we do, must not send us in circles
        if key in self._busy:
            return None
        self._busy.add(key)
        try:
            found = (
                f.find_spec(name, path, target) for f in sys.meta_path if f is not self and hasattr(f, "find_spec")
            )
            spec = next((spec for spec in found if spec is not None), None)
        finally:
            self._busy.discard(key)
        if spec is not None and spec.loader is not None:
            spec.loader = _HookedLoader(spec.loader, self.apply)
        return spec

    def apply(self, name: str, module: "ModuleType") -> None:
        """Run the adapter of ``name``. A failure is kept and told, and raised only under ``PATHPLUGINS_STRICT=1``."""
        try:
            adapter = self.adapters[name]
            __import__(adapter)
            sys.modules[adapter].apply(name, module)
        except Exception as error:  # whatever it is, a trainer that does not use us must still start
            _remember(name, error)
            if _on("PATHPLUGINS_STRICT"):
                raise


FINDER = Finder(ADAPTERS)


def install() -> None:
    """Switch the hook on in this process, unless ``PATHPLUGINS_DISABLE=1``. May be called any number of times."""
    if _on("PATHPLUGINS_DISABLE") or FINDER in sys.meta_path:
        return
    sys.meta_path.insert(0, FINDER)
    for name in FINDER.adapters:
        module = sys.modules.get(name)
        # Where only the entry point calls us the trainer may be there already. A module still being executed is not
        # complete enough to register into.
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            FINDER.apply(name, module)


def active() -> bool:
    """Whether the hook is on in this process."""
    return FINDER in sys.meta_path


def _on(switch: str) -> bool:
    return environ.get(switch, "").lower() not in ("", "0", "false", "no")


def _remember(name: str, error: Exception) -> None:
    import traceback

    from pathplugins.core.versions import describe

    message = f"{type(error).__name__}: {error}"
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    told = any(message == earlier for _, earlier, _ in FAILURES)
    FAILURES.append((name, message, text))
    if _on("PATHPLUGINS_DEBUG"):
        sys.stderr.write(text)
    if not told:
        sys.stderr.write(
            f"pathplugins: could not register in {name}: {message} ({describe(name.partition('.')[0])}). "
            "Runs that do not use pathplugins are not affected; PATHPLUGINS_DEBUG=1 shows the traceback, "
            "`pathplugins doctor` what else is wrong.\n"
        )
