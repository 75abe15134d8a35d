"""Questions about patches: choices and ids."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import patch_folders as drawn

from pathplugins.data.choices import match_choice
from pathplugins.data.formats.ptcga200 import read_ptcga200
from pathplugins.data.formats.reading.patches import Asked, with_choices, yes_no
from pathplugins.data.patch_sets import read_patch_set


def test_choices_are_drawn_by_id_and_the_right_one_is_among_them(tmp_path: Path) -> None:
    patches = read_patch_set(drawn.write_ptcga200(tmp_path, ("brain", "lung"), slides=1, patches=1), "ptcga200")
    places: Counter[str] = Counter()
    for number in range(200):
        asked = Asked(patches=patches, index=0, id=str(number), seed=3)
        question = with_choices(asked, "Q?", "b", ("a", "b", "c", "d", "e", "f"), 3)
        choices = [line[3:] for line in question.text.splitlines()[3:]]
        assert len({*choices}) == 3
        assert choices[match_choice(question.answer, [f"{'ABC'[n]}) {c}" for n, c in enumerate(choices)])] == "b"
        assert question == with_choices(asked, "Q?", "b", ("a", "b", "c", "d", "e", "f"), 3)
        places[question.answer[0]] += 1
    assert min(places[letter] for letter in "ABC") > 40
    assert yes_no("Q?", False).answer == "B) no"


def test_ids_keep_patches_by_file_name(tmp_path: Path) -> None:
    root = drawn.write_ptcga200(tmp_path / "x", ("brain", "lung"), slides=1, patches=3)
    name = sorted((root / "lung").iterdir())[1].name
    (tmp_path / "ids.txt").write_text(f"{name}\n")
    records, _ = read_ptcga200(root, ids=tmp_path / "ids.txt")
    assert [Path(record.images[0]).name for record in records] == [name, name]
