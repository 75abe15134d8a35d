"""Patch sets of all kinds are found, read and picked from alike."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import patch_folders as drawn
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets import KINDS, find_patch_set, read_patch_set
from pathplugins.data.patch_sets.kinds import kind_of
from pathplugins.published.patchtcga import DATASETS


def write_class_folders(root: Path) -> Path:
    rng = np.random.default_rng(5)
    for label, name in enumerate(("InSitu", "normal", "scc")):
        for number in range(2):
            drawn.save(root / name / f"{number}.png", drawn.picture(label, rng, (21, 13)))
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {
    "ptcga200": drawn.write_ptcga200,
    "pcam200": drawn.write_pcam200,
    "segpanda200": drawn.write_segpanda200,
    "patchcamelyon": drawn.write_patchcamelyon,
    "class_folders": write_class_folders,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A drawn set of each kind, in folders whose names say nothing."""
    return {kind: write(tmp_path_factory.mktemp("sets") / "mine") for kind, write in WRITERS.items()}


def test_every_kind_is_tried() -> None:
    assert {*WRITERS} == {*KINDS} == {*DATASETS, "class_folders"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_has_a_picture_a_label_a_slide_and_a_part_of_each_name(folders: dict[str, Path], kind: str) -> None:
    patches = read_patch_set(folders[kind], kind)
    count = len(patches)
    assert count == len(patches.names) == len(patches.labels) == len(patches.groups) == len(patches.parts) >= 6
    assert len({*patches.names}) == count
    assert patches.labels.dtype == np.int64
    assert {*patches.parts} == (
        {"train", "valid", "test"} if kind in ("pcam200", "segpanda200", "patchcamelyon") else {""}
    )
    sizes = set()
    for index in range(count):
        image = patches.read(index)
        sizes.add(image.size)
        assert image.mode == "RGB"
        if patches.task == "classes":
            wanted = drawn.colour(int(patches.labels[index]))
            assert np.abs(np.asarray(image).mean((0, 1)) - wanted).max() < 6
        else:
            mask = patches.read_mask(index)
            assert mask.dtype == np.uint8
            assert mask.shape == (image.height, image.width)
            assert np.abs(np.asarray(image)[mask == mask[0, 0]].mean(0) - drawn.colour(int(mask[0, 0]))).max() < 6
        file = patches.file(index)
        assert file is None if kind == "patchcamelyon" else file == folders[kind] / patches.names[index]
    assert len(sizes) == 1


@pytest.mark.parametrize("kind", KINDS[:4])
def test_the_kind_is_found(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    """Of PTCGA200 there are four folders here: as many may be the classes of somebody's own set."""
    assert kind_of(folders[kind]) == ("class_folders" if kind == "ptcga200" else kind)
    named = tmp_path / f"My{DATASETS[kind].name}-small"
    (named / "test").mkdir(parents=True)
    assert kind_of(named) == kind_of(named / "test") == kind


def test_five_organs_are_ptcga200(tmp_path: Path) -> None:
    assert (
        kind_of(drawn.write_ptcga200(tmp_path, ("brain", "breast", "colon", "liver", "skin"), slides=1)) == "ptcga200"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_picked_and_sets_travel(folders: dict[str, Path], kind: str) -> None:
    patches = read_patch_set(folders[kind], kind)
    picked = patches.take([4, 1])
    assert [*picked.names] == [patches.names[4], patches.names[1]]
    assert picked.labels.tolist() == patches.labels[[4, 1]].tolist()
    assert [*picked.groups] == [patches.groups[4], patches.groups[1]]
    assert np.array_equal(np.asarray(picked.read(1)), np.asarray(patches.read(1)))
    assert [*patches.take(np.arange(len(patches)) == 3).names] == [patches.names[3]]
    copy = pickle.loads(pickle.dumps(picked))
    assert [*copy.names] == [*picked.names]
    assert np.array_equal(np.asarray(copy.read(0)), np.asarray(picked.read(0)))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_an_open_h5_set_is_read_in_other_processes(folders: dict[str, Path], start: str) -> None:
    patches = read_patch_set(folders["patchcamelyon"])
    wanted = float(np.asarray(patches.read(2)).mean())  # the file is open now
    context = multiprocessing.get_context(start)
    queue = context.Queue()
    processes = [context.Process(target=drawn.put_mean, args=(patches, 2, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [queue.get(timeout=60) for _ in processes] == [wanted, wanted]
    for process in processes:
        process.join()


def test_parts(folders: dict[str, Path]) -> None:
    patches = read_patch_set(folders["pcam200"])
    assert {*patches.part("valid").parts} == {*patches.part("val").parts} == {"valid"}
    assert sum(len(patches.part(name)) for name in ("train", "valid", "test")) == len(patches)
    only = read_patch_set(folders["pcam200"] / "test", "pcam200")
    assert [f"test/{name}" for name in only.names] == [*patches.part("test").names]
    assert {*only.parts} == {"test"}
    with pytest.raises(PathPluginsError, match=r"has no part 'test'; its parts are none: make a split"):
        read_patch_set(folders["class_folders"]).part("test")


def test_mistakes(tmp_path: Path) -> None:
    (tmp_path / "PTCGA200").mkdir()
    with pytest.raises(PathPluginsError, match=r"no such folder; expected one of labelled.*did you mean .*PTCGA200\?"):
        read_patch_set(tmp_path / "PTCGA20")
    with pytest.raises(PathPluginsError, match="unknown kind of patch set 'pcam'"):
        read_patch_set(tmp_path / "PTCGA200", "pcam")
    for kind in KINDS:
        faults = find_patch_set(tmp_path / "PTCGA200", kind).faults
        assert [fault.reason for fault in faults] == [
            "no patches" if kind != "class_folders" else "fewer than two classes"
        ]
