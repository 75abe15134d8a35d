"""The package as pip sees it: wheel, source archive, editable install; put into a real environment and taken out."""

from __future__ import annotations

import ast
import configparser
import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ("llamafactory_configs", "xtuner_configs")
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
SEEN = "any(type(finder).__module__ == 'pathplugins.bootstrap' for finder in sys.meta_path)"
WORKERS = f"""
import multiprocessing, subprocess, sys

def seen(_):
    return {SEEN}

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print("spawned worker", pool.map(seen, [0])[0])
    if "again" not in sys.argv:  # torchrun starts the launcher's file once more, in a process of its own
        subprocess.run([sys.executable, __file__, "again"], check=True)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build needs, with two more configurations; building leaves nothing in the checkout."""
    target = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "pathplugins.pth"):
        shutil.copy(ROOT / name, target / name)
    for name in ("README.md", "CHANGELOG.md"):
        (target / name).write_text("text\n")
    for name in ("pathplugins", "data_tools", "tests", *CONFIGS):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in CONFIGS:
        (target / name / "probe" / "deeper").mkdir(parents=True)
        (target / name / "probe" / "deeper" / "probe.py").write_text("x = 1\n")
    return target


def build(source: Path, kind: str) -> Path:
    folder = source / "out" / kind
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", BUILD, kind, str(folder)], cwd=source, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return build(source, "build_wheel")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    return folder / "bin"


def run(*command: str | Path, cwd: Path, **switches: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PATHPLUGINS_", "PYTHONPATH"))}
    done = subprocess.run(command, cwd=cwd, env=env | switches, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def python_files(top: str) -> set[str]:
    return {path.relative_to(ROOT / top).as_posix() for path in (ROOT / top).rglob("*.py")}


def test_wheel_holds_every_module_the_hook_the_configs_and_the_prompts(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {f"pathplugins/{name}" for name in python_files("pathplugins") - {"data_tools.py"}}
    ours |= {f"pathplugins/data_tools/{name}" for name in python_files("data_tools")}
    ours |= {f"pathplugins/{name}/probe/deeper/probe.py" for name in CONFIGS} | {"pathplugins.pth"}
    prompts = {f"pathplugins/data_tools/prompts/{path.name}" for path in (ROOT / "data_tools" / "prompts").iterdir()}
    assert len(prompts) >= 4
    ours |= prompts
    pages = ROOT / "pathplugins" / "classify" / "scoring" / "page"
    ours |= {f"pathplugins/classify/scoring/page/{path.name}" for path in pages.iterdir()}
    ours |= {f"pathplugins/data/scoring/{name}.txt" for name in ("clinical_terms", "judge_rubric")}
    ours |= {"pathplugins/commands/report/page/results.html"}
    pages = ROOT / "pathplugins" / "commands" / "serve" / "page"
    shown = [path.relative_to(ROOT).as_posix() for path in pages.rglob("*") if path.is_file()]
    assert len(shown) >= 5  # with the viewer where it has been fetched
    ours |= {*shown}
    assert len(ours) >= 40
    assert ours - names == set()
    assert "pathplugins/data_tools.py" not in names
    assert {name.partition("/")[0] for name in names} == {
        *("pathplugins", "pathplugins.pth", next(name for name in names if ".dist-info/" in name).partition("/")[0])
    }


def test_every_packaged_folder_with_modules_is_a_package() -> None:
    """setuptools finds packages by their ``__init__.py`` and leaves other folders out without a word."""
    for top in ("pathplugins", "data_tools"):
        folders = {path.parent for path in (ROOT / top).rglob("*.py")}
        assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_source_archive_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build(source, "build_sdist")) as archive:
        archive.extractall(tmp_path, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(tmp_path)
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, "build_wheel")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_requirements_are_few_open_upward_and_met_by_this_trainer_environment(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        head = email.message_from_bytes(archive.read(name))
    needed = [Requirement(text) for text in head.get_all("Requires-Dist")]
    assert {operator.operator for requirement in needed for operator in requirement.specifier} == {">="}
    required = [requirement for requirement in needed if requirement.marker is None]
    assert 1 <= len(required) <= 6
    for requirement in required:
        assert requirement.name not in ("torch", "transformers", "llamafactory", "xtuner")
        assert metadata.version(requirement.name) in requirement.specifier, requirement
    extras = {"llamafactory", "xtuner", "wsi", "readers", "pathgen", "patchtcga", "ray", "scores", "serve", "tissue"}
    assert set(head.get_all("Provides-Extra")) == {*extras, "test"}


def test_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        points = configparser.ConfigParser()
        points.read_string(archive.read(name).decode())
    assert dict(points["console_scripts"]) == {
        "pathplugins": "pathplugins.cli:main",
        "pathdata": "pathplugins.data_tools.cli:main",
    }
    assert dict(points["torch.backends"]) == {"pathplugins": "pathplugins.bootstrap:install"}
    assert dict(points["vllm.general_plugins"]) == {"pathplugins": "pathplugins.vllm_plugin:register"}


@pytest.mark.parametrize("kind", ["build_wheel", "build_editable"])
def test_install_use_uninstall(kind: str, source: Path, wheel: Path, environment: Path, tmp_path: Path) -> None:
    built = wheel if kind == "build_wheel" else build(source, kind)
    python = environment / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", str(built), cwd=tmp_path)

    see = f"import sys; print({SEEN})"
    assert run(python, "-c", see, cwd=tmp_path) == "True"
    assert run(python, "-c", see, cwd=tmp_path, PATHPLUGINS_DISABLE="1") == "False"
    (tmp_path / "workers.py").write_text(WORKERS)
    assert run(python, "workers.py", cwd=tmp_path).splitlines() == ["spawned worker True"] * 2

    where = (
        "import pathplugins.data_tools, importlib.util as u; print(u.find_spec('pathplugins.data_tools.cli').origin)"
    )
    top = source / "data_tools" if kind == "build_editable" else environment.parent
    assert Path(run(python, "-c", where, cwd=tmp_path)).is_relative_to(top)
    listed = run(environment / "pathplugins", "configs", "list", cwd=tmp_path).splitlines()
    assert {"llamafactory/probe/deeper/probe.py", "xtuner/probe/deeper/probe.py"} <= set(listed)

    run(*pip, "uninstall", "--yes", "pathplugins", cwd=tmp_path)
    (site_packages,) = environment.parent.glob("lib/python*/site-packages")
    assert [path.name for path in site_packages.iterdir() if "pathplugins" in path.name] == []
    assert run(python, "-c", see, cwd=tmp_path) == "False"


def test_torch_starts_the_hook_where_path_files_are_not_read(wheel: Path, environment: Path, tmp_path: Path) -> None:
    """On PYTHONPATH or after ``pip install --target`` the entry point in the group ``torch.backends`` does it."""
    pip = (environment / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", "--target", str(tmp_path / "beside"), str(wheel), cwd=tmp_path)
    forget = "sys.meta_path[:] = [f for f in sys.meta_path if type(f).__module__ != 'pathplugins.bootstrap']"
    code = f"import sys; {forget}; before = {SEEN}; import torch; print(before, {SEEN})"
    assert run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path / "beside")) == "False True"


def test_editable_install_adds_one_path_and_no_import_finder(source: Path) -> None:
    """setuptools' finder for editable installs costs every start of Python milliseconds."""
    folder = source / "out" / "build_editable"
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(build(source, "build_editable")) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        path_files = [archive.read(name).decode().strip() for name in names if name.startswith("__editable__")]
    assert sorted(name for name in names if not name.startswith("__editable__")) == ["pathplugins.pth"]
    assert path_files == [str(source)]


def test_data_tools_needs_no_code_at_its_top() -> None:
    """In a checkout ``pathplugins/data_tools.py`` stands in for the folder and its ``__init__.py`` is not executed."""
    body = ast.parse((ROOT / "data_tools" / "__init__.py").read_text(encoding="utf-8")).body
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)
