from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.data_tools.tiling.coord_files import read_coords
from pathplugins.data_tools.tiling.geometry import fit_tiling
from pathplugins.data_tools.tiling.presets import PRESETS
from pathplugins.data_tools.tiling.spec import TilingSpec

pytest.importorskip("openslide")

Pathdata = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_sizes_that_a_40x_slide_has(name: str) -> None:
    row = PRESETS[name]
    spec = TilingSpec(patch_size=row.patch_size, mpp=row.mpp, overlap=row.overlap)
    planned = fit_tiling(spec, level0_mpp=0.25, downsamples=(1.0, 4.0), slide="s")
    assert planned.patch_size_px0 == round(row.patch_size * row.mpp / 0.25)
    assert row.source


def test_known_sizes() -> None:
    assert PRESETS["ptcga200"].patch_size * PRESETS["ptcga200"].mpp == pytest.approx(200, abs=0.5)  # microns
    assert PRESETS["gigapath"][:3] == (256, 0.5, 0)
    assert PRESETS["pathgen"][:2] == (672, 0.25)


def test_presets_and_what_wins(pathdata: Pathdata, sharp_slide: Path, tmp_path: Path) -> None:
    for number, (options, sizes) in enumerate(
        (
            (("--preset", "slidechat"), (224, 448, 0)),
            (("--preset", "slidechat", "--overlap", 24), (224, 448, 24)),
            (("--preset", "slidechat", "--magnification", 40), (224, 224, 0)),
            (("--preset", "ptcga200", "--patch-size", 100), (100, 156, 0)),
            ((), (256, 512, 0)),
        )
    ):
        out = tmp_path / str(number)
        assert pathdata("patch", sharp_slide, "--out", out, *options)[0] == 0
        patches = read_coords(out / "coords" / "sharp.h5")
        assert (patches.patch_size, patches.patch_size_level0, patches.overlap) == sizes


def test_help_names_them_and_unknown_ones_list_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from pathplugins.data_tools.cli import main

    with pytest.raises(SystemExit) as end:
        main(["patch", "-h"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    for name, row in PRESETS.items():
        assert f"{name} " in said
        assert f"{row.patch_size} px at {row.mpp:g} um/px" in said
    with pytest.raises(SystemExit) as end:
        main(["patch", "s.svs", "--out", str(tmp_path), "--preset", "gigapth"])
    assert end.value.code == 2
    assert "gigapath" in capsys.readouterr().err
