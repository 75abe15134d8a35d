"""``pathdata pool``: bags to pooled tokens, resumed, whole, and what is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pathplugins.data.bags import BagAttributes, read_bag, write_bag
from pathplugins.data_tools.cli import main
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT

WIDTH = 5


@pytest.fixture(scope="module")
def tower() -> LongNetViT:
    """As wide as the released one, so that the file tells its heads, and else tiny."""
    torch.manual_seed(3)
    return LongNetViT(LongNetConfig(in_chans=WIDTH, depth=1, mlp_ratio=1 / 64)).eval()


@pytest.fixture
def weights(tower: LongNetViT, tmp_path: Path) -> Path:
    torch.save({"model": tower.state_dict()}, tmp_path / "slide_encoder.pth")
    return tmp_path / "slide_encoder.pth"


def write(path: Path, rows: int, *, width: int = WIDTH) -> None:
    facts = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    side = BagAttributes(slide_id=path.stem, encoder="mine", level0_width=51_200, level0_height=25_600, **facts)
    cells = np.stack([np.arange(rows) // 40, np.arange(rows) % 40], 1)  # (row, column)
    features = np.random.default_rng(rows).standard_normal((rows, width)).astype(np.float32)
    write_bag(path, [features], cells * 512, side, dtype="float32")


def pool(*words: object) -> int:
    return main(["pool", *map(str, words)])


def test_rows_are_those_of_the_slide_encoder(tower: LongNetViT, weights: Path, tmp_path: Path) -> None:
    for name, rows in (("a", 31), ("below/b", 700)):
        write(tmp_path / "bags" / f"{name}.h5", rows)
    asked = (tmp_path / "bags", "--slide-encoder", weights, "--out", tmp_path / "out", "--device", "cpu", "--pt")
    assert pool(*asked) == 0
    for name in ("a", "below/b"):
        bag = read_bag(tmp_path / "bags" / f"{name}.h5")
        seen = {}
        hook = tower.encoder.layer_norm.register_forward_hook(lambda _m, _i, output, seen=seen: seen.update(x=output))
        with torch.no_grad():
            tower(torch.from_numpy(bag.features), torch.from_numpy(bag.coords_xy), torch.tensor([bag.info.rows]))
            hook.remove()
            means = F.adaptive_avg_pool1d(seen["x"][1:].T, 576).T
            wanted = F.layer_norm(means, (768,), tower.norm.weight, tower.norm.bias, 1e-6)
        out = tmp_path / "out" / name
        with h5py.File(out.with_suffix(".h5")) as file:
            rows = file["features"][:]
            said = dict(file.attrs)
        assert rows.shape == (576, 1024)
        np.testing.assert_allclose(rows[:, :768], wanted.numpy(), atol=1e-5)
        assert not rows[:, 768:].any()
        assert said["encoder"] == "gigapath-slide-pooled-576"
        assert (said["patch_encoder"], said["tokens_pooled"], said["zero_channels"]) == ("mine", bag.info.rows, 256)
        published = torch.load(out.with_suffix(".pt"), weights_only=True)
        assert published.dtype == torch.float32
        np.testing.assert_array_equal(published.numpy(), rows)
    before = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*") if path.suffix in (".h5", ".pt")
    }
    (tmp_path / "out" / "below" / "b.h5").unlink()
    assert pool(*asked) == 0
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*") if path.suffix in (".h5", ".pt")}
    assert {path.name for path in after if after[path] != before[path]} == {
        "b.h5",
        "b.pt",
    }


def test_a_bag_that_does_not_fit_stops_no_other(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "bags" / "good.h5", 4)
    write(tmp_path / "bags" / "wide.h5", 4, width=WIDTH + 1)
    assert pool(tmp_path / "bags", "--slide-encoder", weights, "--out", tmp_path / "out", "--device", "cpu") == 1
    assert "wide.h5: features are 6 wide, expected 5" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in (tmp_path / "out").glob("*.h5")] == ["good.h5"]


def test_other_settings_are_named(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "bags" / "a.h5", 4)
    asked = (tmp_path / "bags", "--slide-encoder", weights, "--out", tmp_path / "out", "--device", "cpu")
    assert pool(*asked) == 0
    assert pool(*asked, "--rows", 9) == 1
    assert "rows 576; this run has rows 9: pass --overwrite" in " ".join(capsys.readouterr().err.split())
    assert pool(*asked, "--rows", 9, "--overwrite") == 0
    with h5py.File(tmp_path / "out" / "a.h5") as file:
        assert file["features"].shape == (9, 1024)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "0"), "--rows must be at least 1"),
        (("--width", "700"), "gives 768 channels"),
        (("--slide-encoder", "nowhere.pth"), "no such file"),
    ],
)
def test_misuse_is_one_line(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    write(tmp_path / "bags" / "a.h5", 4)
    asked = (tmp_path / "bags", "--slide-encoder", weights, "--out", tmp_path / "out", "--device", "cpu")
    assert pool(*asked, *words) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_bags_of_one_name_are_refused(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in "ab":
        write(tmp_path / "bags" / folder / "same.h5", 4)
    assert pool(tmp_path / "bags", "--slide-encoder", weights, "--out", tmp_path / "out") == 2
    assert "have one name" in capsys.readouterr().err


def test_bags_inside_out_are_results(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "work" / "bags" / "a.h5", 3)
    assert pool(tmp_path / "work" / "bags", "--slide-encoder", weights, "--out", tmp_path / "work") == 2
    assert "all its .h5 files lie in --out" in capsys.readouterr().err
