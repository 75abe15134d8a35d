"""The demos: what they hand to the trainers is what the trainers know, and mistakes are said before any work."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pathplugins.cli import main
from pathplugins.commands.demo import FOLDERS, pathgen, wsi
from pathplugins.data.formats import FORMATS


def test_the_tables_are_read_by_the_format_that_the_configuration_names(tmp_path: Path) -> None:
    wsi._dataset(tmp_path)
    (tmp_path / "work" / "bags").mkdir(parents=True)
    for name in [f"train_{kind}_{number}" for kind in range(4) for number in range(4)] + [f"val_{k}" for k in range(4)]:
        (tmp_path / "work" / "bags" / f"{name}.h5").touch()
    for split, count in (("train", 16), ("val", 4)):
        records, bad = FORMATS.get("wsi_csv")(tmp_path / f"{split}.csv", mode="vqa", media_dir=tmp_path)
        assert (len(records), bad) == (count, [])
        assert {record.conversations[-1].text for record in records} == {
            f"The slide shows {kind}." for kind in wsi.KINDS
        }


@pytest.mark.host
@pytest.mark.parametrize(("demo", "stages"), [(wsi, (2, 3)), (pathgen, (1, 2))])
def test_every_setting_is_a_key_of_ours_or_of_the_trainer(demo: Any, stages: tuple[int, int], tmp_path: Path) -> None:
    hparams = pytest.importorskip("llamafactory.hparams")
    from pathplugins.llamafactory.arguments import PathModelArguments

    known = {item.name for item in fields(PathModelArguments)}
    for name in ("DataArguments", "FinetuningArguments", "TrainingArguments", "GeneratingArguments"):
        known |= {item.name for item in fields(getattr(hparams, name))}
    for stage in stages:
        words = demo._overrides(tmp_path, stage)
        assert len(words) > 10
        assert [word for word in words if word.partition("=")[0] not in known] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--slide", "absent.svs"], "absent.svs does not exist; name a slide with --slide, or none to have one drawn"),
        (["pallava", "--slide", "a.svs"], "--slide is for `pathplugins demo wsi`; pallava draws its own"),
        (["pathgen", "--slide", "a.svs"], "--slide is for `pathplugins demo wsi`; pathgen draws its own"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", *words]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_demo_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "palava"])
    assert f"unknown value 'palava'. Did you mean pallava? Known: {', '.join(FOLDERS)}" in capsys.readouterr().err
