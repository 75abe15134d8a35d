from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.commands import configs
from pathplugins.core.errors import PathPluginsError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with three configurations, laid out as an installed one."""
    package = tmp_path / "pathplugins"
    for name in ("llamafactory_configs/wsi/align.yaml", "llamafactory_configs/wsi/z3.json", "xtuner_configs/a.py"):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (package / "xtuner_configs" / "__pycache__").mkdir()
    (package / "xtuner_configs" / "__pycache__" / "a.pyc").write_text("")
    monkeypatch.setattr(configs, "__file__", str(package / "commands" / "configs.py"))
    return package


@pytest.mark.usefixtures("installed")
def test_names_are_trainer_and_path() -> None:
    assert list(configs.available()) == ["llamafactory/wsi/align.yaml", "llamafactory/wsi/z3.json", "xtuner/a.py"]


def test_a_checkout_keeps_them_beside_the_package(installed: Path) -> None:
    for name in ("llamafactory_configs", "xtuner_configs"):
        (installed / name).rename(installed.parent / name)
    assert len(configs.available()) == 3


def test_recipes_of_classify_lie_in_the_package(tmp_path: Path) -> None:
    assert "classify/pcam200_finetune.yaml" in configs.available()
    assert configs.copy(["pcam200_finetune.yaml"], tmp_path) == [tmp_path / "pcam200_finetune.yaml"]


@pytest.mark.usefixtures("installed")
def test_copy_one_file_or_a_folder(tmp_path: Path) -> None:
    assert configs.copy(["llamafactory/wsi/align.yaml"], tmp_path / "one") == [tmp_path / "one" / "align.yaml"]
    assert (tmp_path / "one" / "align.yaml").read_text() == "llamafactory_configs/wsi/align.yaml"
    copied = configs.copy(["llamafactory/wsi/"], tmp_path / "many")
    assert copied == [tmp_path / "many" / "wsi" / "align.yaml", tmp_path / "many" / "wsi" / "z3.json"]


@pytest.mark.usefixtures("installed")
def test_copy_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "out" / "wsi").mkdir(parents=True)
    (tmp_path / "out" / "wsi" / "z3.json").write_text("mine")
    with pytest.raises(PathPluginsError, match=r"z3\.json exists already"):
        configs.copy(["llamafactory/wsi"], tmp_path / "out")
    assert not (tmp_path / "out" / "wsi" / "align.yaml").exists()


@pytest.mark.usefixtures("installed")
def test_unknown_name_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"Did you mean 'llamafactory/wsi/align\.yaml'"):
        configs.copy(["llamafactory/wsi/allign.yaml"], tmp_path)


def test_a_config_brings_what_it_reads(installed: Path, tmp_path: Path) -> None:
    folder = installed / "xtuner_configs"
    (folder / "base.py").write_text("x = 1\n")
    (folder / "stage1.py").write_text("with read_base():\n    from .base import *\n")
    (folder / "stage2.py").write_text("with read_base():\n    from .stage1 import *\n")
    copied = configs.copy(
        ["stage1.py", "xtuner/stage2.py"], tmp_path / "out"
    )  # both bring base.py, and the file name is enough
    assert sorted(path.name for path in copied) == ["base.py", "stage1.py", "stage2.py"]
    assert configs.copy(["stage2.py"], tmp_path / "out") != []  # what is there already, unchanged, is in nobody's way
    (tmp_path / "out" / "base.py").write_text("x = 2\n")
    with pytest.raises(PathPluginsError, match=r"base\.py exists already"):
        configs.copy(["stage2.py"], tmp_path / "out")
