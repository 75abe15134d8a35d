from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathplugins import bootstrap

ROOT = Path(bootstrap.__file__).resolve().parent.parent


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``hooked`` with the module ``hooked.leaf``, and an adapter that marks what it is called for."""
    (tmp_path / "hooked").mkdir()
    (tmp_path / "hooked" / "__init__.py").write_text("")
    (tmp_path / "hooked" / "leaf.py").write_text("order = ['executed']\n")
    (tmp_path / "adapter.py").write_text("def apply(name, module):\n    module.order.append(name)\n")
    (tmp_path / "broken_adapter.py").write_text("def apply(name, module):\n    raise KeyError('llama3')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(bootstrap, "FAILURES", [])
    before, finders = set(sys.modules), list(sys.meta_path)
    yield tmp_path
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        del sys.modules[name]


def hook(adapter: str) -> bootstrap.Finder:
    finder = bootstrap.Finder({"hooked.leaf": adapter})
    sys.meta_path.insert(0, finder)
    return finder


def python(code: str, *options: str, **switches: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PATHPLUGINS_")}
    env |= {"PYTHONPATH": str(ROOT), **switches}
    return subprocess.run([sys.executable, *options, "-c", code], env=env, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("trainer")
def test_adapter_runs_after_the_module_and_only_for_it() -> None:
    finder = hook("adapter")
    leaf = importlib.import_module("hooked.leaf")
    assert leaf.order == ["executed", "hooked.leaf"]
    assert finder.find_spec("hooked") is None
    assert finder.find_spec("json") is None


@pytest.mark.usefixtures("trainer")
def test_the_module_keeps_its_own_loader() -> None:
    hook("adapter")
    leaf = importlib.import_module("hooked.leaf")
    assert type(leaf.__loader__).__name__ == type(leaf.__spec__.loader).__name__ == "SourceFileLoader"


@pytest.mark.usefixtures("trainer")
def test_spec_of_a_module_not_yet_imported_can_be_asked() -> None:
    hook("adapter")
    spec = importlib.util.find_spec("hooked.leaf")
    assert spec is not None
    assert spec.loader is not None
    assert "executed" in spec.loader.get_source("hooked.leaf")
    assert "hooked.leaf" not in sys.modules


@pytest.mark.usefixtures("trainer")
def test_two_hooks_that_ask_each_other_end() -> None:
    hook("adapter")
    hook("adapter")
    assert importlib.import_module("hooked.leaf").order[0] == "executed"


@pytest.mark.usefixtures("trainer")
def test_failing_adapter_leaves_the_import_alone_and_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    finder = hook("broken_adapter")
    leaf = importlib.import_module("hooked.leaf")
    finder.apply("hooked.leaf", leaf)
    assert leaf.order == ["executed"]
    assert [(name, message) for name, message, _ in bootstrap.FAILURES] == [("hooked.leaf", "KeyError: 'llama3'")] * 2
    assert "raise KeyError" in bootstrap.FAILURES[0][2]
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "could not register in hooked.leaf: KeyError: 'llama3'" in told
    assert "Traceback" not in told


@pytest.mark.usefixtures("trainer")
def test_debug_prints_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATHPLUGINS_DEBUG", "1")
    hook("broken_adapter")
    importlib.import_module("hooked.leaf")
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.usefixtures("trainer")
def test_strict_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_STRICT", "1")
    hook("broken_adapter")
    with pytest.raises(KeyError, match="llama3"):
        importlib.import_module("hooked.leaf")


@pytest.mark.usefixtures("trainer")
def test_missing_adapter_is_a_failure_not_a_crash() -> None:
    hook("no_such_adapter")
    importlib.import_module("hooked.leaf")
    assert bootstrap.FAILURES[0][1] == "ModuleNotFoundError: No module named 'no_such_adapter'"


@pytest.mark.usefixtures("trainer")
def test_install_is_idempotent_and_reaches_modules_imported_before(monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = importlib.import_module("hooked.leaf")
    finder = bootstrap.Finder({"hooked.leaf": "adapter"})
    monkeypatch.setattr(bootstrap, "FINDER", finder)
    assert not bootstrap.active()
    bootstrap.install()
    bootstrap.install()
    assert bootstrap.active()
    assert sys.meta_path.count(finder) == 1
    assert leaf.order == ["executed", "hooked.leaf"]


@pytest.mark.parametrize(("value", "on"), [("1", False), ("true", False), ("0", True), ("", True)])
def test_disable_switch(value: str, on: bool) -> None:
    code = "from pathplugins import bootstrap; bootstrap.install(); print(bootstrap.active())"
    assert python(code, PATHPLUGINS_DISABLE=value).stdout.strip() == str(on)


def test_start_up_imports_nothing_beside_itself() -> None:
    code = (
        "import sys, os; before = set(sys.modules); import pathplugins.bootstrap as hook; hook.install();"
        "print(*sorted(set(sys.modules) - before))"
    )
    # -S: an environment that has the package installed would have imported it before the first line.
    assert python(code, "-S").stdout.split() == ["pathplugins", "pathplugins.bootstrap"]


def test_adapters_are_ours_and_have_a_file() -> None:
    assert len(bootstrap.ADAPTERS) >= 7
    for adapter in set(bootstrap.ADAPTERS.values()):
        assert (ROOT / (adapter.replace(".", "/") + ".py")).is_file(), adapter


@pytest.mark.host
def test_adapter_knows_every_llamafactory_module_it_is_called_for() -> None:
    from pathplugins.llamafactory.register import HOOKS

    assert set(HOOKS) == {name for name in bootstrap.ADAPTERS if name.startswith("llamafactory.")}
