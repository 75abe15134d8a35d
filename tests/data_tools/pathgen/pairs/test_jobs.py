"""Jobs of an extraction: slides with a file, slides finished earlier, and those that are missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.data_tools.pathgen.pairs.finished import FinishedSlide, finished_path, write_finished
from pathplugins.data_tools.pathgen.pairs.jobs import pair_jobs, read_overrides
from pathplugins.data_tools.pathgen.pairs.options import PairOptions
from pathplugins.data_tools.pathgen.pairs.plan import PlannedSlide


def planned(number: int, wsi_id: str) -> PlannedSlide:
    return PlannedSlide(number=number, wsi_id=wsi_id, file_id="", digest=f"d{number}", pairs=number + 1, repeats=0)


def finish(work: Path, slide: PlannedSlide, digest: str) -> None:
    settings = json.loads(PairOptions().settings(mpp_source="slide", has_outside=False, override_mpp=None))
    head = FinishedSlide(
        **{"wsi_id": slide.wsi_id, "digest": digest, "settings": settings, "mpp_source": "slide"},
        **{"has_outside": False, "pairs": 1, "pictures": 1, "left_out": []},
    )
    write_finished(finished_path(work, slide.wsi_id), head, [])


def test_slides_are_found_finished_or_missing(tmp_path: Path) -> None:
    slides = [planned(number, name) for number, name in enumerate(("There", "Done", "Changed", "Gone"))]
    folder, work = tmp_path / "slides", tmp_path / "work"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "THERE.SVS").write_bytes(b"x")
    finish(work, slides[1], "d1")
    finish(work, slides[2], "another")
    jobs, missing = pair_jobs(slides, [folder], work, PairOptions(), {"There": 0.3}, overwrite=False)
    assert [(job.slide_id, job.gone, job.override_mpp) for job in jobs] == [("There", False, 0.3), ("Done", True, None)]
    assert jobs[0].slide == folder / "deep" / "THERE.SVS"
    assert missing.slides == {"Changed": 3, "Gone": 4}
    jobs, missing = pair_jobs(slides, [folder], work, PairOptions(), {}, overwrite=True)
    assert [job.slide_id for job in jobs] == ["There"]
    assert len(missing.slides) == 3


def test_resolutions_of_single_slides(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mpp.csv").write_text("slide,mpp\nW.svs,0.3\nother,0.5\n")
    assert read_overrides(tmp_path / "mpp.csv", [planned(0, "w"), planned(1, "v")]) == {"w": 0.3}
    assert "1 of its slides are not in the source" in capfd.readouterr().err
    assert read_overrides(None, []) == {}
