"""The manifest of all pairs, the failures, and the plan that is built only when it must be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pathplugins.data_tools.pathgen.pairs.finished import FinishedSlide, finished_path, write_finished
from pathplugins.data_tools.pathgen.pairs.manifest import FAILED_SLIDE, MISSING, OUTSIDE, gather, one_writer, open_plan
from pathplugins.data_tools.pathgen.pairs.options import PairOptions
from pathplugins.data_tools.pathgen.pairs.plan import PlannedSlide


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def source(path: Path, *names: str) -> Path:
    rows = [{"wsi_id": name, "position": [3, n], "caption": f"Größe {n}."} for n, name in enumerate(names)]
    path.write_text(json.dumps(rows))
    return path


def test_a_plan_is_kept_while_its_source_stays(tmp_path: Path) -> None:
    work, json_file = tmp_path / "out", source(tmp_path / "in.json", "B", "A", "B")
    plan, said = open_plan(json_file, work, named=True, keep_bad=False)
    assert plan is not None
    with plan:
        assert ([(slide.wsi_id, slide.pairs) for slide in plan.slides()], said) == ([("B", 2), ("A", 1)], "")
    before = (work / "plan.sqlite").stat().st_mtime_ns
    again, _ = open_plan(json_file, work, named=True, keep_bad=False)
    assert again is not None
    again.close()
    assert (work / "plan.sqlite").stat().st_mtime_ns == before
    source(json_file, "C")
    changed, _ = open_plan(json_file, work, named=True, keep_bad=False)
    assert changed is not None
    with changed:
        assert [slide.wsi_id for slide in changed.slides()] == ["C"]


def test_bad_rows_give_no_plan_unless_they_are_left_out(tmp_path: Path) -> None:
    json_file, work = source(tmp_path / "in.json", "A", "state"), tmp_path / "out"  # a name the output folder needs
    plan, said = open_plan(json_file, work, named=True, keep_bad=False)
    assert (plan, (work / "plan.sqlite").exists()) == (None, False)
    assert "1 x slide name" in said
    plan, _ = open_plan(json_file, work, named=True, keep_bad=True)
    assert plan is not None
    with plan:
        assert [slide.wsi_id for slide in plan.slides()] == ["A"]
    plan, said = open_plan(json_file, work, named=True, keep_bad=True)
    assert plan is not None
    plan.close()
    assert said == f"left out: 1 bad row; all: {work / 'bad.jsonl'}"


def test_the_manifest_joins_what_is_finished_and_reports_the_rest(tmp_path: Path) -> None:
    slides = [
        PlannedSlide(number=n, wsi_id=name, file_id="", digest=f"d{n}", pairs=n + 1, repeats=1)
        for n, name in enumerate(("B", "A", "old", "gone"))
    ]
    settings = json.loads(PairOptions().settings(mpp_source="slide", has_outside=False, override_mpp=None))
    for slide, digest in zip(slides, ("d0", "d1", "another"), strict=False):
        head = FinishedSlide(
            **{"wsi_id": slide.wsi_id, "digest": digest, "settings": settings, "mpp_source": "slide"},
            **{"has_outside": False, "pairs": slide.pairs, "pictures": 1},
            left_out=[{"x": 3, "y": 5, "pairs": 4, "outside": 0.25}] if slide.wsi_id == "A" else [],
        )
        write_finished(finished_path(tmp_path, slide.wsi_id), head, [{"image": slide.wsi_id}] * slide.pairs)
    found = gather(tmp_path, slides, PairOptions(), {}, {"gone"}, {"old": "broken"}.get)
    assert [line["image"] for line in lines(tmp_path / "manifest.jsonl")] == ["B", "A", "A"]
    assert (found.slides, found.pairs, found.pictures, found.repeats) == (2, 3, 2, 2)
    assert [(line["wsi_id"], line["reason"], line["pairs"]) for line in lines(tmp_path / "failures.jsonl")] == [
        ("A", OUTSIDE, 4),
        ("old", FAILED_SLIDE, 3),
        ("gone", MISSING, 4),
    ]
    text = found.text(tmp_path)
    assert "3 pairs, 2 pictures of 2 slides; 2 exact repeats left out" in text
    assert "missing: 11 pairs: 4 for 1 x outside the slide" in text
    assert "A at (3, 5): outside the slide: 25% of its box lies beyond the slide" in text
    assert "gone: missing slide: its file is not below --slides" in text
    assert "old: failed slide" not in text  # the engine has said so
    gather(tmp_path, slides[:1], PairOptions(), {}, (), lambda wsi_id: None)
    assert not (tmp_path / "failures.jsonl").exists()


def test_copies_of_killed_runs_go(tmp_path: Path) -> None:
    from pathplugins.core.files import temporary_beside

    left, other = temporary_beside(tmp_path / "manifest.jsonl"), tmp_path / ".mine.tmp"
    left.write_text("half")
    other.write_text("not ours")
    with one_writer(tmp_path):
        assert (left.exists(), other.exists()) == (False, True)
