"""Train pathology vision-language models in an unmodified LLaMA-Factory or XTuner."""

__version__ = "0.1.0"

TYPE_CHECKING = False  # not from `typing`: this file runs at every start of Python
if TYPE_CHECKING:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model
    from pathplugins.commands.selection import draw_selection
    from pathplugins.data.bags import read_bag
    from pathplugins.data_tools.slides.slide import Slide

__all__ = ["Slide", "ask", "draw_selection", "load_model", "read_bag"]

_HOMES = {
    "Slide": "pathplugins.data_tools.slides.slide",
    "ask": "pathplugins.commands.ask",
    "draw_selection": "pathplugins.commands.selection",
    "load_model": "pathplugins.commands.loading",
    "read_bag": "pathplugins.data.bags",
}
"""Name of the Python API -> the module that has it, imported when it is first asked for."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    import importlib

    globals()[name] = found = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
