"""``pathdata inspect``: says what a file is, and finds everything that is wrong with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data_tools.commands import inspect

N, D = 31, 6
SIZE_WH = (41_003, 20_001)
XY0 = np.stack([np.arange(N) % 11, np.arange(N) // 11], axis=1) * 512
KNOWN = BagAttributes(
    slide_id="s",
    encoder="uni",
    patch_size=256,
    patch_size_level0=512,
    mpp=0.5,
    level0_mpp=0.25,
    level0_width=SIZE_WH[0],
    level0_height=SIZE_WH[1],
)
TRIDENT = {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40, "target_magnification": 20}

Inspect = Callable[..., tuple[int, list[dict]]]


def values() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((N, D)).astype(np.float32)


def h5(path: Path, *, root: dict | None = None, on_coords: dict | None = None, **datasets: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name] = data
        file.attrs.update(root or {})
        if on_coords:
            file["coords"].attrs.update(on_coords)
    return path


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    inspect.add_options(parser)
    return inspect.run(parser.parse_args([*map(str, arguments)]))


@pytest.fixture
def look(capfd: pytest.CaptureFixture[str]) -> Inspect:
    """``look(file, ...) -> (exit code, reports)``."""

    def look(*arguments: object) -> tuple[int, list[dict]]:
        capfd.readouterr()
        code = run(*arguments, "--json")
        return code, json.loads(capfd.readouterr().out)

    return look


def test_our_own_bag(tmp_path: Path, capfd: pytest.CaptureFixture[str], look: Inspect) -> None:
    path = tmp_path / "s.h5"
    write_bag(path, [values()], XY0[:, ::-1], KNOWN)
    code, (report,) = look(path)
    assert (code, report["wrong"], report["notes"]) == (0, [], [])
    facts = report["facts"]
    wanted = {"rows": N, "width": D, "dtype": "float16", "encoder": "uni", "mpp": 0.5, "level0_size": [*SIZE_WH]}
    assert {name: facts[name] for name in wanted} == wanted
    assert facts["positions"] == "(y, x), level-0 pixels"
    assert facts["frame"].startswith("(x, y) pixels at 0.5 mpp: x 0..5120, y 0..1024 becomes x 0..2560, y 0..512, 31")
    assert facts["storage"] == "chunks 31 x 6, a checksum each row"
    assert run(path) == 0
    text = capfd.readouterr().out
    assert f"{path}: feature bag of pathplugins\n" in text
    assert "  level0 size: 41003 x 20001\n" in text
    assert text.endswith("  nothing wrong found\n")


@pytest.mark.parametrize(
    ("name", "content", "what", "positions"),
    [
        ("a.h5", {"features": values(), "coords": XY0, "on_coords": TRIDENT}, "features of TRIDENT", "(x, y), level-0"),
        ("a.h5", {"features": values(), "coords": XY0 // 2}, "features of CLAM", "(x, y), level-0 pixels"),
        ("a.h5", {"features": values(), "coords_yx": XY0 // 2}, "Unpuzzle", "(y, x), unit not recorded"),
        (
            "a.h5",
            {"feats": values(), "coords": XY0 / 4, "root": {"unit": "um", "tile_size_um": 128.0, "tile_size_px": 256}},
            "features of STAMP",
            "(x, y), microns",
        ),
        ("a.h5", {"coords": XY0, "on_coords": TRIDENT}, "patch positions without features, by trident", "x 0..5120"),
        ("a.h5", {"coords": XY0, "on_coords": {"patch_size": 256, "patch_level": 0}}, "by clam", "x 0..5120"),
        ("a.h5", {"features": values()[0]}, "slide embedding", None),
        ("a.h5", {"s1/feat": values(), "s1/coords": XY0}, "MIL features of PathGen", "(x, y), level-0 pixels"),
    ],
)  # fmt: skip
def test_what_it_is(tmp_path: Path, look: Inspect, name: str, content: dict, what: str, positions: str | None) -> None:
    code, (report,) = look(h5(tmp_path / name, **content))
    assert (code, report["wrong"]) == (0, [])
    assert what in report["what"]
    assert positions is None or positions in report["facts"]["positions"]


def test_our_own_positions_say_all_they_record(slides_folder: Path, tmp_path: Path, look: Inspect) -> None:
    """Also where patches are a level's own pixels, and CLAM's attributes stand beside ours."""
    pytest.importorskip("openslide")
    from pathplugins.data_tools.tiling.one_slide import patch_slide
    from pathplugins.data_tools.tiling.spec import TilingSpec

    patch_slide(slides_folder / "a.svs", tmp_path, TilingSpec(patch_size=160))
    path = tmp_path / "coords" / "a.h5"
    with h5py.File(path) as file:
        assert file["coords"].attrs["patch_level"] == 0
    _, (report,) = look(path)
    assert report["what"].endswith("by pathplugins")
    facts = {name: report["facts"][name] for name in ("patch_size", "mpp", "patch_size_level0", "level0_mpp")}
    assert facts == {"patch_size": 160, "mpp": 0.5, "patch_size_level0": 160, "level0_mpp": 0.5}
    assert report["facts"]["level0_size"] == [1411, 1003]


def test_containers_that_are_not_h5(tmp_path: Path, look: Inspect) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.from_numpy(values()), tmp_path / "a.pt")
    header = ",".join(map(str, range(D)))
    np.savetxt(tmp_path / "b.csv", values(), fmt="%.4f", delimiter=",", header=header, comments="")
    code, reports = look(tmp_path)
    assert code == 0
    for report in reports:
        assert (report["facts"]["rows"], report["facts"]["width"], report["facts"]["positions"]) == (N, D, "none")
        assert "convert features --coords DIR" in report["notes"][0]
    assert [report["what"][:6] for report in reports] == ["tensor", "featur"]


def test_everything_wrong_is_said(tmp_path: Path, look: Inspect) -> None:
    """Not the first finding only, nor the first file."""
    bad, xy = values(), XY0.copy()
    bad[[3, 9]] = np.nan
    bad[20] = 0
    xy[7] = xy[6]
    xy[30] = (512 * 1000, 512)
    h5(tmp_path / "a.h5", features=bad, coords=xy, on_coords=TRIDENT)
    h5(tmp_path / "b.h5", features=values(), coords=XY0)
    h5(tmp_path / "c.h5", other=values())
    h5(
        tmp_path / "d.h5",
        features=values(),
        coords=XY0,
        on_coords={**TRIDENT, "level0_width": 4000, "level0_height": 9000},
    )
    (tmp_path / "e.h5").write_bytes(b"")
    h5(tmp_path / "f.h5", features=values(), coords=XY0, on_coords=TRIDENT)
    code, reports = look(tmp_path, "--width", D)
    assert code == 1
    wrong = {Path(report["path"]).stem: report["wrong"] for report in reports}
    assert len(wrong["a"]) == 4
    for part, finding in zip(
        ("are repeated", "expected less than 256000", "2 of 31", "1 of 31"), wrong["a"], strict=True
    ):
        assert part in finding
    assert "set coords_mpp" in wrong["b"][0]  # the stride of 512 fits two units
    assert "holds other" in wrong["c"][0]
    assert "outside the slide" in wrong["d"][0]
    assert "it is empty" in wrong["e"][0]
    assert wrong["f"] == []
    assert look(tmp_path / "b.h5", "--coords-mpp", "0.25")[0] == 0
    code, (report,) = look(tmp_path / "f.h5", "--width", "1536")
    assert (code, report["wrong"]) == (1, ["features are 6 wide, expected 1536; made with another encoder?"])


def test_damage_is_found(tmp_path: Path, look: Inspect) -> None:
    path = tmp_path / "s.h5"
    write_bag(path, [values()], XY0[:, ::-1], KNOWN)
    with h5py.File(path) as file:
        place = file["features"].id.get_chunk_info(0).byte_offset + 11 * D * 2
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    code, (report,) = look(path)
    assert code == 1
    (wrong,) = report["wrong"]
    assert wrong.startswith("row 11 of `features` does not match its checksum, it is damaged")


def test_positions_on_no_grid_are_a_note(tmp_path: Path, look: Inspect) -> None:
    xy = XY0.copy()
    xy[20:] += 77
    code, (report,) = look(h5(tmp_path / "a.h5", features=values(), coords=xy, on_coords=TRIDENT))
    assert (code, report["wrong"]) == (0, [])
    assert "no one grid" in report["notes"][0]


def test_files_that_are_not_there(tmp_path: Path, look: Inspect) -> None:
    code, (report,) = look(tmp_path / "nothing.h5")
    assert (code, report["what"]) == (1, "unknown")
    assert "no such file" in report["wrong"][0]
    with pytest.raises(PathPluginsError, match=r"no \.h5, .* file in this folder"):
        run(tmp_path)


def test_the_list_of_slides_of_a_work_folder_is_no_fault_of_it(tmp_path: Path, look: Inspect) -> None:
    write_bag(tmp_path / "s.h5", [values()], XY0[:, ::-1], KNOWN)
    for name in ("process_list.csv", "process_list_autogen.csv"):
        (tmp_path / name).write_text("slide_id,process\ns,1\n")
    code, (report,) = look(tmp_path)
    assert (code, Path(report["path"]).name) == (0, "s.h5")
    assert look(tmp_path / "process_list.csv")[0] == 1


def test_from_the_command_line(tmp_path: Path, pathdata: Callable[..., tuple[int, str]]) -> None:
    write_bag(tmp_path / "s.h5", [values()], XY0[:, ::-1], KNOWN)
    assert pathdata("inspect", tmp_path / "s.h5")[0] == 0
    code, err = pathdata("inspect", tmp_path / "s.h5", tmp_path / "t.h5")
    assert (code, err) == (1, "1 of 2 reports name a fault: correct these files, or leave them out\n")


def test_features_of_another_encoder_are_wrong_for_a_model(look: Inspect, tmp_path: Path) -> None:
    from dataclasses import replace

    wide = np.random.default_rng(1).standard_normal((N, 1536)).astype(np.float32)
    for name, encoder in {"own": "prov-gigapath", "uni": "UNI_v2"}.items():
        write_bag(tmp_path / "bags" / f"{name}.h5", [wide], XY0[:, ::-1], replace(KNOWN, encoder=encoder))
    own, uni = tmp_path / "bags" / "own.h5", tmp_path / "bags" / "uni.h5"
    code, (report,) = look(uni)
    assert (code, report["wrong"]) == (0, [])
    assert "as wide as features of gigapath, but of another encoder: a tower with GigaPath's" in report["notes"][-1]
    code, (first, other) = look(tmp_path / "bags", "--encoder", "gigapath")
    assert (code, first["wrong"]) == (1, [])
    (said,) = other["wrong"]
    assert said.startswith("features are of the encoder 'UNI_v2', but the vision tower was trained on those of 'gigapa")
    assert look(tmp_path / "bags", "--encoder", "gigapath", "--allow-other-encoder")[0] == 0
    code, (first, other) = look(tmp_path / "bags")  # the bags of one run
    assert (code, first["wrong"]) == (1, [])
    assert "'UNI_v2', but 1 of 2 bags of this run name 'prov-gigapath'" in other["wrong"][0]
    model = tmp_path / "model"
    model.mkdir()
    settings = {"image_processor_type": "CustomLlavaImageProcessor", "feature_dim": 1536}
    (model / "preprocessor_config.json").write_text(json.dumps(settings))  # of an earlier version
    assert [bool(report["wrong"]) for report in look(own, uni, "--model", model)[1]] == [False, True]
    strict = {**settings, "expects_encoder": None, "grid": 3, "tile_px": 256, "frame_mpp": 0.5}
    (model / "preprocessor_config.json").write_text(json.dumps(strict))
    assert "cells of 256 px" in look(own, "--model", model)[1][0]["wrong"][0]
    (model / "preprocessor_config.json").write_text(json.dumps({"tile_size": 224}))
    with pytest.raises(PathPluginsError, match="it reads images, no feature bags"):
        look(own, "--model", model)
    with pytest.raises(PathPluginsError, match=r"--model .*bags: no preprocessor_config\.json in it; give a directory"):
        look(own, "--model", tmp_path / "bags")
