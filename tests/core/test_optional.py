"""Optional packages: one error names what is missing, and a line that installs it."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from pathplugins.core.errors import MissingDependencyError
from pathplugins.core.optional import install_line, need, require

ROOT = Path(__file__).resolve().parents[2]
BROUGHT_BY = {
    **{"openslide": "openslide-python", "open_clip": "open_clip_torch", "sklearn": "scikit-learn", "yaml": "pyyaml"},
    **{"segmentation_models_pytorch": "segmentation-models-pytorch", "prometheus_client": "prometheus-client"},
    **{"threadpoolctl": "scikit-learn", "urllib3": "requests"},  # what these depend on
    **{"torch": "timm", "torchvision": "timm", "huggingface_hub": "timm", "safetensors": "timm"},
}
"""Module -> the package that brings it, where the names differ."""


def needed() -> list[tuple[str, str, str]]:
    """File, module and extra of every ``need("module", extra="...")`` of ours."""
    found = []
    for path in sorted(path for top in ("pathplugins", "data_tools") for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("need", "require")):
                continue
            extra = next((k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)), "wsi")
            modules = [word.value for word in node.args if isinstance(word, ast.Constant)]
            found += [(path.name, module.partition(".")[0], extra) for module in modules]
    return found


def test_the_install_line_of_every_need_brings_the_module() -> None:
    calls = needed()
    assert len(calls) > 30
    for file, module, extra in calls:
        names = {re.split(r"[<>=]", word.strip("'"))[0] for word in install_line(extra, module).split()}
        assert names & {module, BROUGHT_BY.get(module)}, f"{file}: {module} of the extra {extra}"


def test_need_returns_the_module() -> None:
    assert need("json.decoder").JSONDecoder


def test_need_names_the_module_and_how_to_install_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"no_such_module is needed .*; install it: pip install "):
        need("no_such_module")


def test_require_names_all_that_are_missing() -> None:
    require("json", "csv")
    with pytest.raises(MissingDependencyError, match=r"do not import: nothing_here .* and nothing_there .*; install: "):
        require("json", "nothing_here", "nothing_there", extra="ray")


def test_the_install_line_names_packages_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """``pathplugins[wsi]`` would not: the package is installed from a checkout."""
    listed = [
        "h5py>=3.8",
        'openslide-python>=1.4; extra == "wsi"',
        "tifffile>=2024.2; extra == 'wsi'",
        'x; extra == "w"',
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: listed if name == "pathplugins" else None)
    assert install_line("wsi") == "pip install 'openslide-python>=1.4' 'tifffile>=2024.2'"
    assert (
        install_line("wsi", "transformers.models")
        == "pip install 'openslide-python>=1.4' 'tifffile>=2024.2' transformers"
    )
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    assert install_line("wsi") == "pip install '.[wsi]' in a checkout of pathplugins"


def test_the_install_line_says_which_packages_need_a_newer_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip would only say that it finds no such version."""
    listed = ["a>=1; extra == 'w'", 'b>=2; python_version >= "3.99" and extra == "w"']
    listed += ['c>=3; python_version >= "3.9" and extra == "w"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: listed)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    line = "pip install 'a>=1' 'b>=2' 'c>=3'"
    assert install_line("w") == f"{line} (b>=2: in an environment of Python 3.99, this is {here})"
