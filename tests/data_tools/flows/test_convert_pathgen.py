"""``pathdata convert`` of pairs: what it writes trains where it lies (P19, P26)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Pathdata = Callable[..., tuple[int, str]]

WSI = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"
TURNS = [{"from": "human", "value": "Which?\n<image>"}, {"from": "gpt", "value": "A"}]


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``pairs/manifest.jsonl`` with one caption and one conversation, and their images, below the working directory."""
    folder = tmp_path / "pairs"
    (folder / WSI).mkdir(parents=True)
    rows = [
        {"image": f"{WSI}/32_64.jpg", "wsi_id": WSI, "x": 32, "y": 64, "caption": "Glands."},
        {"image": f"{WSI}/0_0.jpg", "wsi_id": WSI, "x": 0, "y": 0, "id": "1", "conversations": TURNS, "type": "CLOSE"},
    ]
    for row in rows:
        Image.new("RGB", (61, 43), "pink").save(folder / row["image"])
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return folder


def written(path: str) -> list[dict[str, Any]]:
    return json.loads(Path(path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("there", [False, True], ids=["new folder", "folder that is there"])
@pytest.mark.parametrize("source", ["pairs/manifest.jsonl", "pairs"])
def test_the_command_as_it_is_published(pathdata: Pathdata, pairs: Path, there: bool, source: str) -> None:
    if there:
        Path("data").mkdir()
    code, said = pathdata("convert", "pathgen", source, "--to", "sharegpt", "--out", "data")
    assert code == 0, said
    assert said.splitlines()[-1] == "data/pathgen.json: 2 samples; left out: 0 bad, 0 above 16777216 pixels"
    caption, asked = written("data/pathgen.json")
    assert (caption["images"], asked["images"]) == ([f"../pairs/{WSI}/32_64.jpg"], [f"../pairs/{WSI}/0_0.jpg"])
    assert all(Path("data", image).is_file() for row in (caption, asked) for image in row["images"])
    assert caption["id"] == f"{WSI}_32_64"
    assert caption["conversations"][1] == {"from": "gpt", "value": "Glands."}
    assert asked["conversations"] == TURNS
    assert written("data/dataset_info.json")["pathgen"]["file_name"] == "pathgen.json"


def test_images_are_found_from_where_a_link_leads(pathdata: Pathdata, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    Path("data").symlink_to(tmp_path / "far" / "away")
    code, said = pathdata("convert", "pathgen", "pairs", "--to", "llava", "--out", "data/train.json")
    assert code == 0, said
    assert [row["image"] for row in written("data/train.json")] == [
        *(f"../../pairs/{WSI}/32_64.jpg", f"../../pairs/{WSI}/0_0.jpg")
    ]
    assert all(Path("data", row["image"]).is_file() for row in written("data/train.json"))


def test_beside_the_manifest_paths_are_short(pathdata: Pathdata, pairs: Path) -> None:
    assert pathdata("convert", "pathgen", "pairs", "--to", "llava", "--out", "pairs/train.json")[0] == 0
    assert written("pairs/train.json")[0]["image"] == f"{WSI}/32_64.jpg"


def test_captions_of_another_folder(pathdata: Pathdata, pairs: Path) -> None:
    Path("captions").mkdir()
    row = {"image": f"../pairs/{WSI}/32_64.jpg", "wsi_id": WSI, "x": 32, "y": 64, "caption": "New.", "captions": {}}
    Path("captions/captions.jsonl").write_text(json.dumps(row))
    assert pathdata("convert", "pathgen", "captions/captions.jsonl", "--to", "llava", "--out", "data")[0] == 0
    (done,) = written("data/pathgen.json")
    assert done["image"] == f"../pairs/{WSI}/32_64.jpg"


def test_missing_and_broken_images_stop_it_in_one_report(pathdata: Pathdata, pairs: Path) -> None:
    (pairs / WSI / "32_64.jpg").unlink()
    (pairs / WSI / "0_0.jpg").write_bytes(b"no image")
    code, said = pathdata("convert", "pathgen", "pairs", "--to", "sharegpt", "--out", "data")
    assert code == 1
    assert "manifest.jsonl:1: missing file" in said
    assert "manifest.jsonl:2: not an image" in said
    assert [path.name for path in Path("data").iterdir()] == ["pathgen.json.bad.jsonl"]


def test_with_a_folder_of_images_they_are_relative_to_it(pathdata: Pathdata, pairs: Path) -> None:
    command = ("convert", "pathgen", "pairs", "--to", "sharegpt", "--image-folder", "pairs", "--out", "data")
    assert pathdata(*command)[0] == 0
    assert written("data/pathgen.json")[0]["images"] == [f"{WSI}/32_64.jpg"]


def test_the_published_json_without_pictures_at_hand(pathdata: Pathdata, tmp_path: Path) -> None:
    source = tmp_path / "PathGen.json"
    source.write_text(json.dumps([{"wsi_id": WSI, "position": ["32", "64"], "caption": "Glands."}]))
    command = ("convert", "pathgen", source, "--to", "llava", "--naming", "flat", "--image-suffix", ".jpg")
    code, said = pathdata(*command, "--out", tmp_path)
    assert code == 0, said
    assert written(str(tmp_path / "pathgen.json"))[0]["image"] == f"{WSI}_32_64.jpg"


@pytest.mark.parametrize(
    ("to", "name"), [("record", "pathgen.jsonl"), ("xtuner", "pathgen.jsonl"), ("llava", "pathgen.json")]
)
def test_a_folder_gets_a_file_of_the_right_suffix(pathdata: Pathdata, pairs: Path, to: str, name: str) -> None:
    assert pathdata("convert", "pathgen", "pairs", "--to", to, "--out", "data")[0] == 0
    assert [path.name for path in Path("data").iterdir()] == [name]


def test_a_file_without_a_suffix_that_is_there_stays_a_file(pathdata: Pathdata, pairs: Path) -> None:
    Path("train").write_text("mine")
    code, said = pathdata("convert", "pathgen", "pairs", "--to", "llava", "--out", "train")
    assert code == 2
    assert "train exists; pass --overwrite" in said
    assert Path("train").read_text() == "mine"


def test_open_path_cannot_be_converted(pathdata: Pathdata, tmp_path: Path) -> None:
    (tmp_path / "openpath.csv").write_text("tw_id,img_position\n1,0\n")
    code, said = pathdata(
        "convert", "open-path", tmp_path / "openpath.csv", "--to", "sharegpt", "--out", tmp_path / "d"
    )
    assert code == 2
    assert "--subset openpath" in said
    assert not (tmp_path / "d").exists()


def test_what_is_written_is_read_by_the_trainers_reader(pathdata: Pathdata, pairs: Path) -> None:
    from pathplugins.data.formats.llava import read_llava
    from pathplugins.data.images import check_image
    from pathplugins.data.records import check_images

    assert pathdata("convert", "pathgen", "pairs", "--to", "llava", "--out", "data")[0] == 0
    records, bad = read_llava("data/pathgen.json")
    assert (len(records), bad) == (2, [])
    assert check_images(records, check_image) == []
