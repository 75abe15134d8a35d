"""Features of other tools into bags and back: the same rows at the same places, or a report that says why not."""

from __future__ import annotations

import argparse
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import check_bag, inspect_bag, read_bag
from pathplugins.data_tools.commands import convert_features

N, D = 53, 6
SIZE_WH, MPP0, SIDE0 = (41_003, 20_001), 0.25, 512  # a 40x slide, wider than high; 256 px patches at 0.5 mpp
TOWER_XY = np.stack([np.arange(N) % 79 * 256 + 512, np.arange(N) // 9 * 256], axis=1)  # pixels at 0.5 mpp
XY0 = TOWER_XY * 2
PATCHES = {"patch_size": 256, "patch_size_level0": SIDE0, "level0_width": SIZE_WH[0], "level0_height": SIZE_WH[1]}
MAGNIFICATIONS = {"level0_magnification": 40, "target_magnification": 20, "overlap": 0}
GIVEN = ("--encoder", "uni", "--patch-size", "256", "--patch-size-level0", "512", "--mpp", "0.5")
SLIDE = ("--slide-size", f"{SIZE_WH[0]}x{SIZE_WH[1]}")

Convert = Callable[..., tuple[int, dict]]


def values(seed: int = 0, d: int = D, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, d)).astype(np.float16).astype(dtype)


def in_rows(file: h5py.File | h5py.Group, name: str, data: np.ndarray) -> h5py.Dataset:
    """As CLAM and TRIDENT write: chunks of one row, appended batch by batch."""
    shape = data.shape[1:]
    dataset = file.create_dataset(name, (0, *shape), data.dtype, maxshape=(None, *shape), chunks=(1, *shape))
    for start in range(0, len(data), 20):
        batch = data[start : start + 20]
        dataset.resize(len(dataset) + len(batch), axis=0)
        dataset[-len(batch) :] = batch
    return dataset


def clam(folder: Path, slide: str, features: np.ndarray, xy: np.ndarray = XY0) -> Path:
    (folder / "h5_files").mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "h5_files" / f"{slide}.h5", "w") as file:
        in_rows(file, "features", features)
        in_rows(file, "coords", xy.astype(np.int32))
    return folder / "h5_files" / f"{slide}.h5"


def clam_patches(folder: Path, slide: str, xy: np.ndarray = XY0) -> Path:
    """256 px at level 1, which is twice as coarse: 512 level-0 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"{slide}.h5", "w") as file:
        coords = in_rows(file, "coords", xy.astype(np.int64))
        coords.attrs.update(patch_size=256, patch_level=1, name=slide, save_path="patches")
        coords.attrs["downsample"] = (2.0, 2.0)
        coords.attrs["level_dim"] = coords.attrs["downsampled_level_dim"] = (20_501, 10_000)
    return folder / f"{slide}.h5"


def trident(folder: Path, slide: str, features: np.ndarray, xy: np.ndarray = XY0, encoder: str | None = "uni") -> Path:
    (folder / "features_uni").mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "features_uni" / f"{slide}.h5", "w") as file:
        in_rows(file, "features", features).attrs.update({"name": slide, **({"encoder": encoder} if encoder else {})})
        in_rows(file, "coords", xy.astype(np.int64)).attrs.update({**PATCHES, **MAGNIFICATIONS, "name": slide})
    return folder / "features_uni" / f"{slide}.h5"


def stamp(folder: Path, slide: str, features: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"{slide}.h5", "w") as file:
        file["feats"], file["coords"] = features.astype(np.float16), XY0 * MPP0
        file.attrs.update(unit="um", tile_size_um=128.0, tile_size_px=256, extractor="uni", feat_type="tile")
    return folder / f"{slide}.h5"


def pathgen(folder: Path, **slides: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "patch_feats_pretrain_x.h5", "w") as file:
        for slide, features in slides.items():
            file[f"{slide}/feat"], file[f"{slide}/coords"] = features.astype(np.float16), XY0.astype(np.int32)
            file[slide].attrs["label"] = 1
    return folder / "patch_feats_pretrain_x.h5"


def slidechat(folder: Path, slide: str, features: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(map(str, range(features.shape[1])))]
    lines += [",".join(f"{value:.4f}" for value in row) for row in features]
    (folder / f"{slide}.csv").write_text("\n".join(lines) + "\n")
    return folder / f"{slide}.csv"


@pytest.fixture
def convert(capfd: pytest.CaptureFixture[str]) -> Convert:
    """``convert(source, "--out", ...) -> (exit code, report)``."""

    def run(*arguments: object) -> tuple[int, dict]:
        parser = argparse.ArgumentParser()
        convert_features.add_options(parser)
        capfd.readouterr()
        code = convert_features.run(parser.parse_args([*map(str, arguments), "--json"]))
        return code, json.loads(capfd.readouterr().out)

    return run


def statuses(report: dict) -> dict[str, str]:
    return {Path(entry["source"]).name: entry["status"] for entry in report["files"]}


def check_same(path: Path, features: np.ndarray, **known: object) -> None:
    bag = read_bag(path)
    np.testing.assert_array_equal(bag.coords_xy, TOWER_XY)
    np.testing.assert_array_equal(bag.features.astype(np.float32), features.astype(np.float32))
    info = check_bag(path)
    wanted = {"convention": "pathplugins", "encoder": "uni", "patch_size": 256, "patch_size_level0": SIDE0, "mpp": 0.5}
    wanted |= {"level0_mpp": MPP0, "slide_id": path.stem, **known}
    assert {name: getattr(info, name) for name in wanted} == wanted


def test_clam_with_its_patches(tmp_path: Path, convert: Convert) -> None:
    clam(tmp_path / "clam", "a.1", values(1))
    clam(tmp_path / "clam", "b", values(2))
    (tmp_path / "clam" / "pt_files").mkdir()
    (tmp_path / "clam" / "pt_files" / "b.pt").write_bytes(b"a copy, not looked at")
    for slide in ("a.1", "b"):
        clam_patches(tmp_path / "patches", slide)
    arguments = (tmp_path / "clam", "--out", tmp_path / "bags", "--encoder", "uni", "--level0-mpp", "0.25")
    code, report = convert(*arguments, "--coords", tmp_path / "patches")
    assert (code, report["counts"]) == (0, {"done": 2})
    check_same(tmp_path / "bags" / "a.1.h5", values(1), level0_width=41_002, level0_height=20_000)  # 2 x level 1
    check_same(tmp_path / "bags" / "b.h5", values(2))
    assert inspect_bag(tmp_path / "bags" / "b.h5").dtype == "float16"


def test_clam_without_geometry_says_what_to_pass(tmp_path: Path, convert: Convert) -> None:
    clam(tmp_path / "clam", "a", values())
    code, report = convert(tmp_path / "clam", "--out", tmp_path / "bags")
    reason = report["files"][0]["reason"]
    assert (code, report["counts"]) == (1, {"failed": 1})
    for option in ("--encoder NAME", "--patch-size PIXELS", "--level0-mpp UM", "--slide-size WxH", "--coords DIR"):
        assert option in reason
    assert not (tmp_path / "bags").exists()
    code, _ = convert(tmp_path / "clam", "--out", tmp_path / "bags", *GIVEN, *SLIDE)
    assert code == 0
    check_same(tmp_path / "bags" / "a.h5", values(), level0_width=SIZE_WH[0])


@pytest.mark.parametrize("encoder", ["uni", None])
def test_trident(tmp_path: Path, convert: Convert, encoder: str | None) -> None:
    """Everything is recorded, the encoder perhaps by the folder alone; other files of the job are left out."""
    job = tmp_path / "20x_256px_0px_overlap"
    trident(job, "a", values(1), encoder=encoder)
    (job / "patches").mkdir()
    (job / "slide_features_titan").mkdir()
    with h5py.File(job / "patches" / "a_patches.h5", "w") as file:
        file["coords"] = XY0
    with h5py.File(job / "slide_features_titan" / "a.h5", "w") as file:
        file["features"], file["coords"] = np.ones(768, np.float32), XY0
    code, report = convert(job, "--out", tmp_path / "bags", "--dtype", "float32")
    assert (code, report["counts"]) == (0, {"left out": 2, "done": 1})
    check_same(tmp_path / "bags" / "a.h5", values(1), dtype="float32", level0_height=SIZE_WH[1])


def test_stamp_microns_become_pixels(tmp_path: Path, convert: Convert) -> None:
    stamp(tmp_path / "stamp", "a", values())
    code, report = convert(tmp_path / "stamp", "--out", tmp_path / "bags")
    assert code == 1
    assert "level0_mpp" in report["files"][0]["reason"]
    code, _ = convert(tmp_path / "stamp", "--out", tmp_path / "bags", "--level0-mpp", 0.25, *SLIDE)
    assert code == 0
    check_same(tmp_path / "bags" / "a.h5", values())


def test_pathgen_is_a_slide_per_group(tmp_path: Path, convert: Convert) -> None:
    path = pathgen(tmp_path / "mil", a=values(1), b=values(2))
    with h5py.File(path, "r+") as file:
        file["c"] = h5py.SoftLink("/a")
    code, report = convert(path, "--out", tmp_path / "bags", *GIVEN, *SLIDE, "--from", "pathgen-mil")
    assert code == 1  # a file with a link is nothing known
    with h5py.File(path, "r+") as file:
        del file["c"]
    code, report = convert(path, "--out", tmp_path / "bags", *GIVEN, *SLIDE, "--from", "pathgen-mil")
    assert (code, report["counts"]) == (0, {"done": 2})
    check_same(tmp_path / "bags" / "a.h5", values(1))
    check_same(tmp_path / "bags" / "b.h5", values(2))


def test_features_without_positions_need_those_of_the_patches(tmp_path: Path, convert: Convert) -> None:
    features = np.round(values(3), 2)
    slidechat(tmp_path / "csv", "a", features)
    arguments = (tmp_path / "csv", "--out", tmp_path / "bags", "--encoder", "uni", "--level0-mpp", "0.25")
    code, report = convert(*arguments, "--patch-size", 256, "--patch-size-level0", 512, *SLIDE)
    assert code == 1
    assert "features without positions" in report["files"][0]["reason"]
    assert "pass --coords DIR" in report["files"][0]["reason"]
    assert not (tmp_path / "bags").exists()
    clam_patches(tmp_path / "patches", "a", XY0[:-1])
    code, report = convert(*arguments, "--coords", tmp_path / "patches")
    assert code == 1
    assert "53 rows but" in report["files"][0]["reason"]
    clam_patches(tmp_path / "patches", "a")
    code, _ = convert(*arguments, "--coords", tmp_path / "patches", "--dtype", "float32")
    assert code == 0
    check_same(tmp_path / "bags" / "a.h5", np.round(features, 4))


def test_a_broken_table_names_the_rows(tmp_path: Path, convert: Convert) -> None:
    path = slidechat(tmp_path / "csv", "a", values())
    lines = path.read_text().splitlines()
    clam_patches(tmp_path / "patches", "a")
    clam_patches(tmp_path / "patches", "b")
    path.write_text("\n".join([*lines[:9], lines[9] + ",1", *lines[10:]]))
    (tmp_path / "csv" / "b.csv").write_text("h5_path,caption\nx,y\n")
    code, report = convert(tmp_path / "csv", "--out", tmp_path / "bags", *GIVEN, "--coords", tmp_path / "patches")
    assert code == 1
    reasons = {Path(entry["source"]).name: entry["reason"] for entry in report["files"]}
    assert "among rows 0 to 52" in reasons["a.csv"]
    assert "not 0,1,2,..." in reasons["b.csv"]
    assert list((tmp_path / "bags").iterdir()) == []


def test_wsi_llava_tensors(tmp_path: Path, convert: Convert) -> None:
    torch = pytest.importorskip("torch")
    padded = np.concatenate([values(4), np.zeros((N, 2), np.float32)], axis=1)
    (tmp_path / "pt").mkdir()
    torch.save(torch.from_numpy(padded), tmp_path / "pt" / "a.pt")
    torch.save(torch.zeros(N, 8), tmp_path / "pt" / "zero.pt")
    torch.save({"features": torch.ones(3, 2)}, tmp_path / "pt" / "dict.pt")
    torch.save(torch.from_numpy(padded), tmp_path / "pt" / "old.pt", _use_new_zipfile_serialization=False)
    with (tmp_path / "pt" / "code.pt").open("wb") as stream:
        pickle.dump(Evil(tmp_path / "ran"), stream, protocol=2)
    for slide in ("a", "zero", "dict", "old", "code"):
        clam_patches(tmp_path / "patches", slide)
    arguments = (tmp_path / "pt", "--out", tmp_path / "bags", "--encoder", "uni", "--level0-mpp", "0.25")
    code, report = convert(*arguments, "--coords", tmp_path / "patches", "--from", "wsi-llava-pt")
    reasons = {entry["slide_id"]: entry["reason"] for entry in report["files"]}
    assert (code, report["counts"]) == (1, {"done": 2, "failed": 3})
    assert not (tmp_path / "ran").exists()
    assert "code.pt: a pickle that torch.save did not write" in reasons["code"]
    assert "a dictionary of features: a tensor float32 (3, 2)" in reasons["dict"]
    assert "row 0 is zero" in reasons["zero"]
    assert "the last 2 of 8 channels are zero" in next(e for e in report["files"] if e["slide_id"] == "a")["notes"][0]
    check_same(tmp_path / "bags" / "a.h5", padded)
    check_same(tmp_path / "bags" / "old.h5", padded)


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_bad_slides_are_reported_and_the_rest_go_on(tmp_path: Path, convert: Convert) -> None:
    job = tmp_path / "job"
    for slide in ("a", "b", "c"):
        trident(job, slide, values())
    trident(job, "wide", values(d=9))
    nan, zero = values(), values()
    nan[31, 2], zero[7] = np.nan, 0
    trident(job, "nan", nan)
    trident(job, "zero", zero)
    trident(job, "half", values(dtype="float16"))
    trident(job, "outside", values(), XY0 + np.array([41_000, 0]))
    trident(job, "empty", values()[:0], XY0[:0])
    (job / "features_uni" / "lfs.h5").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (job / "features_uni" / ".a.h5.tmp.h5").write_bytes(b"left behind")
    data = trident(job, "short", values()).read_bytes()
    (job / "features_uni" / "short.h5").write_bytes(data[:-100])
    code, report = convert(job, "--out", tmp_path / "bags")
    reasons = {Path(entry["source"]).stem: entry["reason"] for entry in report["files"] if entry["reason"]}
    assert (code, report["counts"]) == (1, {"failed": 7, "done": 4})
    assert "9 wide, most here are 6" in reasons["wide"]
    assert "row 31 holds NaN" in reasons["nan"]
    assert "row 7 is zero" in reasons["zero"]
    assert "outside the slide" in reasons["outside"]
    assert "empty bag" in reasons["empty"]
    assert "git lfs pull" in reasons["lfs"]
    assert "not a readable HDF5 file" in reasons["short"]
    assert next(e for e in report["files"] if e["slide_id"] == "half")["notes"][0] == "float16, most here are float32"
    assert sorted(path.name for path in (tmp_path / "bags").iterdir()) == ["a.h5", "b.h5", "c.h5", "half.h5"]


def test_what_is_there_is_not_done_again(tmp_path: Path, convert: Convert) -> None:
    job = tmp_path / "job"
    trident(job, "a", values(1))
    trident(job, "b", values(2))
    assert convert(job, "--out", tmp_path / "bags")[1]["counts"] == {"done": 2}
    before = (tmp_path / "bags" / "b.h5").stat().st_mtime_ns
    (tmp_path / "bags" / "a.h5").unlink()
    assert convert(job, "--out", tmp_path / "bags")[1]["counts"] == {"done": 1, "skipped": 1}
    assert (tmp_path / "bags" / "b.h5").stat().st_mtime_ns == before
    os.utime(next(job.rglob("a.h5")))  # a copy
    assert convert(job, "--out", tmp_path / "bags")[1]["counts"] == {"skipped": 2}
    code, report = convert(job, "--out", tmp_path / "bags", "--dtype", "float32")
    assert (code, report["counts"]) == (1, {"failed": 2})
    assert "pass --overwrite" in report["files"][0]["reason"]
    trident(job, "b", values(3))
    code, report = convert(job, "--out", tmp_path / "bags")
    assert (code, statuses(report)) == (1, {"a.h5": "skipped", "b.h5": "failed"})
    assert convert(job, "--out", tmp_path / "bags", "--overwrite")[0] == 0
    check_same(tmp_path / "bags" / "b.h5", values(3))


def test_there_and_back_through_clam(tmp_path: Path, convert: Convert) -> None:
    torch = pytest.importorskip("torch")
    trident(tmp_path / "job", "a", values(1))
    convert(tmp_path / "job", "--out", tmp_path / "bags")
    assert convert(tmp_path / "bags", "--out", tmp_path / "clam", "--to", "clam")[0] == 0
    with h5py.File(tmp_path / "clam" / "h5_files" / "a.h5") as file:
        assert (file["features"].dtype, file["features"].chunks) == (np.float32, (1, D))
        assert (file["coords"].dtype, file["coords"][:].tolist()) == (np.int32, XY0.tolist())
        assert not file["coords"].attrs
        assert not file["features"].attrs
    tensor = torch.load(tmp_path / "clam" / "pt_files" / "a.pt", weights_only=True)
    np.testing.assert_array_equal(tensor.numpy(), values(1))
    assert sorted(path.name for path in (tmp_path / "clam").rglob("*.*")) == ["a.h5", "a.pt"]
    assert inspect_bag(tmp_path / "clam" / "h5_files" / "a.h5").convention == "clam"
    assert convert(tmp_path / "bags", "--out", tmp_path / "clam", "--to", "clam")[1]["counts"] == {"skipped": 1}
    (tmp_path / "clam" / "pt_files" / "a.pt").unlink()
    assert convert(tmp_path / "bags", "--out", tmp_path / "clam", "--to", "clam")[1]["counts"] == {"done": 1}
    assert convert(tmp_path / "clam", "--out", tmp_path / "again", *GIVEN, *SLIDE)[0] == 0
    check_same(tmp_path / "again" / "a.h5", values(1))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_there_and_back_through_trident(tmp_path: Path, convert: Convert, dtype: str) -> None:
    stamp(tmp_path / "stamp", "a", values(1))
    convert(tmp_path / "stamp", "--out", tmp_path / "bags", "--level0-mpp", 0.25, *SLIDE)
    assert convert(tmp_path / "bags", "--out", tmp_path / "job", "--to", "trident", "--dtype", dtype)[0] == 0
    path = tmp_path / "job" / "features_uni" / "a.h5"
    with h5py.File(path) as file:
        assert (file["features"].dtype, file["features"].chunks) == (dtype, (1, D))
        assert file["features"].attrs["encoder"] == "uni"
        assert (file["coords"].dtype, file["coords"][:].tolist()) == (np.int64, XY0.tolist())
        found = dict(file["coords"].attrs)
    wanted = {**PATCHES, "level0_magnification": 40, "target_magnification": 20, "name": "a"}
    assert {name: found[name] for name in wanted} == wanted
    bag = read_bag(path)
    assert bag.info.convention == "trident"
    np.testing.assert_array_equal(bag.coords_xy, TOWER_XY)
    assert convert(tmp_path / "job", "--out", tmp_path / "again", "--dtype", dtype)[0] == 0
    check_same(tmp_path / "again" / "a.h5", values(1))


@pytest.mark.parametrize("stated", [0.2208, 0.2637])
def test_a_magnification_gives_way_to_what_the_user_states(tmp_path: Path, convert: Convert, stated: float) -> None:
    trident(tmp_path / "job", "a", values(1))
    assert convert(tmp_path / "job", "--out", tmp_path / "bags", "--level0-mpp", stated)[0] == 0
    info = inspect_bag(tmp_path / "bags" / "a.h5")
    assert (info.level0_mpp, info.mpp, info.nominal) == (stated, stated * SIDE0 / 256, False)


@pytest.mark.parametrize("to", ["pathplugins", "trident"])
def test_a_magnification_is_never_written_as_a_measured_resolution(tmp_path: Path, convert: Convert, to: str) -> None:
    trident(tmp_path / "job", "a", values(1))
    code, report = convert(tmp_path / "job", "--out", tmp_path / "out", "--to", to)
    assert code == 0
    assert any("0.25 um/px at level 0 is nominal" in note for note in report["files"][0]["notes"])
    (path,) = (tmp_path / "out").rglob("a.h5")
    info = inspect_bag(path)
    assert (info.mpp, info.level0_mpp, info.nominal) == (0.5, 0.25, True)
    assert convert(path.parent, "--out", tmp_path / "again", "--level0-mpp", 0.2637)[0] == 0  # it still gives way
    assert inspect_bag(tmp_path / "again" / "a.h5").level0_mpp == 0.2637


def test_numbers_beyond_float16_are_not_made_infinite(tmp_path: Path, convert: Convert) -> None:
    large = values()
    large[5, 1] = 1e5
    trident(tmp_path / "job", "a", large)
    for to in ("pathplugins", "trident"):
        code, report = convert(tmp_path / "job", "--out", tmp_path / to, "--to", to)
        assert code == 1
        assert "float32" in report["files"][0]["reason"]
        assert not list((tmp_path / to).rglob("*.*"))
    assert convert(tmp_path / "job", "--out", tmp_path / "bags", "--dtype", "float32")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--patch-size", "224"), "patch_size is 256 there but 224 in the options"),
        (("--level0-mpp", "0.5"), "level0_mpp is 0.25 there but 0.5"),
        (("--encoder", "conch"), "encoder is uni there but conch"),
        (("--slide-size", "20001x41003"), "level0_width is 41003 there but 20001"),
    ],
)
def test_contradictions_are_not_settled_silently(
    tmp_path: Path, convert: Convert, arguments: tuple[str, ...], message: str
) -> None:
    trident(tmp_path / "job", "a", values())
    code, report = convert(tmp_path / "job", "--out", tmp_path / "bags", *arguments)
    assert code == 1
    assert message in report["files"][0]["reason"]


def test_positions_of_another_run_are_noticed(tmp_path: Path, convert: Convert) -> None:
    clam(tmp_path / "clam", "a", values())
    clam_patches(tmp_path / "patches", "a", XY0[::-1])
    code, report = convert(tmp_path / "clam", "--out", tmp_path / "bags", *GIVEN, "--coords", tmp_path / "patches")
    assert code == 1
    assert "patch files of the same run" in report["files"][0]["reason"]


def test_nothing_can_be_started(tmp_path: Path, convert: Convert) -> None:
    out = ("--out", tmp_path / "bags")
    with pytest.raises(PathPluginsError, match="no such file or folder"):
        convert(tmp_path / "nowhere", *out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PathPluginsError, match="no features; name a folder"):
        convert(tmp_path / "empty", *out)
    trident(tmp_path / "job", "a", values())
    clam(tmp_path / "job", "a", values())
    with pytest.raises(PathPluginsError, match=r"1 slides were found more than once, e\.g\. .*one encoder"):
        convert(tmp_path / "job", *out)
    with pytest.raises(PathPluginsError, match="is the source itself"):
        convert(tmp_path / "job", "--out", tmp_path / "job")
    with pytest.raises(PathPluginsError, match="--mpp must be above 0"):
        convert(tmp_path / "job", *out, "--mpp", "-1")
    with pytest.raises(PathPluginsError, match="no patch file in it"):
        convert(tmp_path / "job" / "h5_files", *out, "--coords", tmp_path / "empty")
    with pytest.raises(PathPluginsError, match=r"no features \(left out: .*trident, asked for stamp"):
        convert(tmp_path / "job" / "features_uni", *out, "--from", "stamp")
