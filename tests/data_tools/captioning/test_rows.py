"""Manifests: what a row gives to a prompt, and what stops a run before it starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data_tools.captioning.rows import PatchRow, check_rows, good_rows, image_beside, manifest_of
from pathplugins.data_tools.captioning.stages import read_stages


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def pair(**cells: Any) -> PatchRow:
    return PatchRow(source="m", number=1, cells=cells, image=Path("a.jpg"))


def test_slots_of_a_row() -> None:
    slots = pair(image="a.jpg", caption=" Cells. ", mpp=0.25, organ="lung", other=[1], file_id=None).slots()
    assert (slots["description"], slots["caption"], slots["mpp"], slots["organ"]) == (
        "Cells.",
        "Cells.",
        "0.25",
        "lung",
    )
    assert (slots["other"], slots["file_id"]) == ("", "")
    again = pair(caption="Revised.", captions={"original": "Cells.", "describe": "Long."})
    assert (again.slots()["description"], again.slots()["caption"]) == ("Revised.", "Cells.")
    assert again.captions() == {"original": "Cells.", "describe": "Long."}
    assert pair(caption="Cells.").captions() == {"original": "Cells."}
    assert pair(caption=None).captions() == {}


def test_the_manifest_of_a_folder(selected: Path) -> None:
    assert manifest_of(selected) == manifest_of(selected / "manifest.jsonl") == selected / "manifest.jsonl"
    assert len([*good_rows(manifest_of(selected))]) == 6
    with pytest.raises(PathPluginsError, match=r"nowhere.*no such file; expected a manifest"):
        manifest_of(selected / "nowhere")


def test_all_bad_rows_at_once(selected: Path) -> None:
    rows = [json.loads(line) for line in manifest_of(selected).read_text().splitlines()]
    (selected / rows[1]["image"]).unlink()
    (selected / rows[2]["image"]).write_bytes(b"version https://git-lfs")
    manifest = write(selected, rows[0], rows[1], rows[2], {"image": ""}, "{broken", "[1]", {**rows[3], "caption": "C."})
    with manifest.open("a") as file:
        file.write(json.dumps({**rows[4], "caption": "C.", "note": "half \ud83d"}) + "\n")
    with pytest.raises(BadSamplesError) as bad:
        check_rows(manifest, read_stages(["describe_published", "revise"]))
    text = str(bad.value)
    assert "7 of 8 samples cannot be used" in text
    assert "manifest.jsonl:1: no description: stage describe_published needs {description}" in text
    assert "manifest.jsonl:2: missing file" in text
    assert "manifest.jsonl:3: no JPEG or PNG" in text
    assert "manifest.jsonl:4: no image" in text
    assert "manifest.jsonl:8: unreadable text: note has half a character" in text
    assert text.count("malformed row") == 3  # and in the counts


def test_a_later_stage_needs_no_caption(selected: Path) -> None:
    assert check_rows(manifest_of(selected), read_stages(["describe", "revise", "summarise"])) == 6
    with pytest.raises(BadSamplesError, match="6 x no description"):
        check_rows(manifest_of(selected), read_stages(["revise"]))


def test_an_unknown_slot_is_named_with_the_columns(selected: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("{size_level0} {colour}")
    with pytest.raises(
        PathPluginsError, match=r"unknown slot \{colour\} in mine; the manifest gives .*\{size_level0\}"
    ):
        check_rows(manifest_of(selected), read_stages([f"mine={tmp_path / 'p.txt'}"]))


def test_images_are_found_from_another_folder(patches: Callable[..., Path], tmp_path: Path) -> None:
    folder = patches("deep/selected", 2)
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    out = tmp_path / "results"
    out.mkdir()
    for there in (folder, tmp_path / "link"):
        for row in good_rows(there / "manifest.jsonl"):
            path = image_beside(row, out)
            assert path.startswith("../deep/selected/TCGA-AA-000")
            assert (out / path).read_bytes() == row.image.read_bytes()
    first = next(good_rows(folder / "manifest.jsonl"))
    assert image_beside(first, folder) == first.cells["image"]
