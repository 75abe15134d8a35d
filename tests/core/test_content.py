"""Prints of file contents: the same for copies, others for others, at the cost of a few reads."""

from pathlib import Path

import pytest

from pathplugins.core.content import content_print


def test_copies_are_the_same_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"slide" * 999)
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "b.svs").write_bytes(b"slide" * 999)
    assert content_print(tmp_path / "a") == content_print(tmp_path / "moved" / "b.svs")
    (tmp_path / "a").write_bytes(b"slide" * 998 + b"slidf")
    assert content_print(tmp_path / "a") != content_print(tmp_path / "moved" / "b.svs")
    assert content_print(tmp_path / "a").startswith("4995-")


@pytest.mark.parametrize("place", [0, 3_000_000 // 9 * 4, 2_999_999])  # head, a block between, tail
def test_a_large_file_is_told_by_its_blocks(tmp_path: Path, place: int) -> None:
    content = bytearray(range(250)) * 12_000
    (tmp_path / "a").write_bytes(content)
    content[place] ^= 1
    (tmp_path / "b").write_bytes(content)
    assert content_print(tmp_path / "a") != content_print(tmp_path / "b")


def test_a_huge_file_costs_a_few_reads(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**42)
    assert content_print(tmp_path / "sparse").startswith(f"{2**42}-")


def test_folders_of_files_are_one_slide(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.dcm").write_bytes(b"x" * 70)
        (tmp_path / name / "2.dcm").write_bytes(b"y" * 71)
    assert content_print(tmp_path / "one") == content_print(tmp_path / "two")
    (tmp_path / "two" / "2.dcm").write_bytes(b"z" * 71)
    assert content_print(tmp_path / "one") != content_print(tmp_path / "two")


def test_the_folder_beside_a_mrxs_belongs_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.mrxs").write_bytes(b"small")
    alone = content_print(tmp_path / "a.mrxs")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Data0000.dat").write_bytes(b"pixels")
    assert content_print(tmp_path / "a.mrxs") != alone
