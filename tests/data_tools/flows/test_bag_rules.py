"""Every rule of bags holds in every command: what one calls wrong, no other takes in silence."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data.bags.rows import row_checksums
from pathplugins.data.records import Record
from pathplugins.models.custom_llava.image_checks import image_check, other_encoders
from pathplugins.models.custom_llava.input_files import check_file
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor

N, D = 12, 6
XY = np.stack([np.arange(N) % 4, np.arange(N) // 4], axis=1) * 512
RECORDED = {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40, "target_magnification": 20}
RECORDED |= {"level0_width": 4096, "level0_height": 2048}


def bag(path: Path, **change: object) -> Path:
    """Write a bag of TRIDENT's with some of its parts replaced."""
    values = np.random.default_rng(1).standard_normal((N, D)).astype(np.float32) + 9
    parts = {"features": values, "coords": XY, "encoder": "uni", "recorded": RECORDED, **change}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"], file["coords"] = parts["features"], parts["coords"]
        file["features"].attrs["encoder"] = parts["encoder"]
        file["coords"].attrs.update(parts["recorded"])
    return path


def edited(what: str, row: int, value: object) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        bag(path)
        with h5py.File(path, "r+") as file:
            file[what][row] = value
        return path

    return make


def unit_unknown(path: Path) -> Path:
    """Positions whose stride fits more than one unit, and no word about it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"], file["coords_yx"] = np.ones((N, D), np.float32), XY
    return path


def damaged(path: Path) -> Path:
    """A bag of ours with a flipped bit in a feature row."""
    facts = BagAttributes(
        **{"slide_id": "s", "encoder": "uni", "patch_size": 256, "patch_size_level0": 512, "mpp": 0.5},
        **{"level0_mpp": 0.25, "level0_width": 4096, "level0_height": 2048},
    )
    values = np.random.default_rng(2).standard_normal((N, D)).astype(np.float32)
    write_bag(path, [values], XY[:, ::-1], facts, dtype="float32")
    with h5py.File(path, "r+") as file:
        file["features"][4, 2] += 1
        assert file["features_checksums"][4] != row_checksums(file["features"][4:5])[0]
    return path


RULES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "repeated position": (edited("coords", 3, XY[2]), "position|rows 2 and 3 are both at"),
    "not a number": (edited("features", 5, np.nan), "NaN"),
    "row of zeros": (edited("features", 5, 0), "zero"),
    "wrong width": (lambda path: bag(path, features=np.ones((N, D + 1), np.float32)), "7 wide"),
    "other encoder": (lambda path: bag(path, encoder="conch"), "encoder '?conch"),
    "unit unknown": (unit_unknown, "unit"),
    "empty": (lambda path: bag(path, features=np.zeros((0, D)), coords=np.zeros((0, 2), int)), "empty bag"),
    "row checksum": (damaged, "does not match its checksum"),
    "order swapped": (lambda path: bag(path, coords=XY[:, ::-1] * 3), "outside the slide.*swapped"),
    "half a position": (lambda path: bag(path, coords=XY + 0.5), "not whole"),
    "fewer positions": (lambda path: bag(path, coords=XY[:-1]), "expected .12, 2."),
    "off the grid": (
        lambda path: bag(path, coords=XY * 1000, recorded={k: v for k, v in RECORDED.items() if "level0_w" not in k}),
        "expected less than 256000|slide-size",
    ),
    "patch sizes disagree": (lambda path: bag(path, recorded={**RECORDED, "patch_size_level0": 256}), "um of tissue"),
}
"""Rule -> (maker of a bag that breaks it, what every command says of it)."""

Said = Callable[[Path], str]
"""What a command says about the bag ``odd.h5`` in a folder of three; it must not be nothing."""


@pytest.fixture
def inspect(pathdata: Callable[..., tuple[int, str]], capfd: pytest.CaptureFixture[str]) -> Said:
    from pathplugins.data_tools.cli import main

    def run(folder: Path) -> str:
        capfd.readouterr()
        assert main(["inspect", str(folder), "--width", str(D), "--encoder", "uni"]) == 1
        return "".join(capfd.readouterr())

    return run


@pytest.fixture
def convert(pathdata: Callable[..., tuple[int, str]], tmp_path: Path) -> Said:
    return lambda folder: pathdata("convert", "features", folder, "--out", tmp_path / "converted")[1]


def processor() -> CustomLlavaImageProcessor:
    return CustomLlavaImageProcessor(feature_dim=D, expects_encoder="uni")


@pytest.fixture
def training() -> Said:
    def run(folder: Path) -> str:
        check, _ = image_check(processor(), {})
        paths = [str(path) for path in sorted(folder.iterdir())]
        records = [Record(id=p, conversations=(), images=(p,), meta={}, source="", row=1) for p in paths]
        said = [sample.detail for sample in other_encoders(records, processor())]
        for path in paths:
            try:
                check(path)
            except PathPluginsError as error:
                said.append(str(error))
        return "\n".join(said)

    return run


class Asked:
    """What `check_file` needs of the processor of a model."""

    def __init__(self) -> None:
        self.image_processor = processor()
        self.num_image_tokens = self.image_processor.num_image_tokens


@pytest.fixture
def ask() -> Said:
    def run(folder: Path) -> str:
        with pytest.raises(PathPluginsError) as caught:
            check_file(Asked(), folder / "odd.h5")
        return str(caught.value)

    return run


@pytest.mark.parametrize("command", ["inspect", "convert", "training", "ask"])
@pytest.mark.parametrize("rule", RULES)
def test_every_command_obeys_or_reports(
    rule: str, command: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    make, wanted = RULES[rule]
    folder = tmp_path / "bags"
    for name in ("a", "b"):
        bag(folder / f"{name}.h5")
    make(folder / "odd.h5")
    said = request.getfixturevalue(command)(folder)
    assert re.search(wanted, said, re.DOTALL), said
    assert "odd" in said


def test_another_magnification_is_reported_by_all(
    inspect: Said, convert: Said, training: Said, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "bags"
    for name in ("a", "b"):
        bag(folder / f"{name}.h5")
    bag(folder / "odd.h5", recorded={**RECORDED, "target_magnification": 40, "patch_size_level0": 256}, encoder="conch")
    assert "odd.h5: patches at 0.25 um/px, 2 of 3 bags here are at 0.5" in inspect(folder)
    assert "patches at 0.25 um/px, 2 of 3 bags here are at 0.5" in convert(folder)
    with caplog.at_level(logging.WARNING):
        training(folder)
    assert "1 bags are of another magnification than the rest" in caplog.text


@pytest.mark.parametrize(
    ("values", "coords_yx", "message"),
    [
        (np.full((N, D), np.nan), XY[:, ::-1], "NaN"),
        (np.ones((N, D)), np.zeros((N, 2), int), "positions are repeated"),
        (np.ones((N, D)), XY[:, ::-1] * 9, "outside the slide"),
        (np.ones((N - 1, D)), XY[:, ::-1], "11 feature rows for 12"),
    ],
)
def test_features_writes_no_bag_that_the_others_would_refuse(
    values: np.ndarray, coords_yx: np.ndarray, message: str, tmp_path: Path
) -> None:
    facts = BagAttributes(
        **{"slide_id": "s", "encoder": "uni", "patch_size": 256, "patch_size_level0": 512, "mpp": 0.5},
        **{"level0_mpp": 0.25, "level0_width": 4096, "level0_height": 2048},
    )
    with pytest.raises(PathPluginsError, match=message):
        write_bag(tmp_path / "s.h5", [values], coords_yx, facts)
    assert not (tmp_path / "s.h5").exists()
