"""Records, bad samples and the policy about them (features W5, W6)."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data.bags import BagContract, check_bag
from pathplugins.data.records import BadSample, BadSampleReport, Record, Turn, apply_policy, check_images, check_record

WriteH5 = Callable[..., Path]


def record(row: int, *images: str, turns: tuple[tuple[str, str], ...] | None = None, source: str = "a.csv") -> Record:
    turns = turns or (("user", "<image>" * len(images) + "\nWhat?"), ("assistant", "That."))
    conversations = tuple(Turn(*turn) for turn in turns)  # type: ignore[arg-type]
    return Record(id=f"s{row}", conversations=conversations, images=images, meta={}, source=source, row=row)


def bad(row: int | None, reason: str = "missing file", source: str = "a.csv") -> BadSample:
    return BadSample(source=source, row=row, reason=reason, detail=f"detail of {row}")


def test_report_counts_and_shows_twenty(tmp_path: Path) -> None:
    report = BadSampleReport(total=120)
    report.raise_if_any()
    report.add([bad(row) for row in range(2, 26)])
    report.add([bad(2, "no answer"), bad(None, "unknown format", "b.csv")])
    lines = report.text().splitlines()
    assert lines[0] == "25 of 120 samples cannot be used: 24 x missing file, 1 x no answer, 1 x unknown format"
    assert lines[1] == "  a.csv:2: missing file: detail of 2"
    assert lines[-1] == "  ... and 6 more"
    assert len(lines) == 22
    with pytest.raises(BadSamplesError, match="25 of 120"):
        report.raise_if_any()
    path = tmp_path / "new" / "bad.jsonl"
    report.write(path)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [BadSample(**sample) for sample in written] == report.bad
    assert [child.name for child in path.parent.iterdir()] == ["bad.jsonl"]


def test_policy_error_reports_everything_at_once(tmp_path: Path) -> None:
    records = [record(row, "x") for row in range(2, 9)]
    path = tmp_path / "bad.jsonl"
    with pytest.raises(BadSamplesError, match=r"(?s)3 of 8 samples.*a\.csv:9.*bad\.jsonl.*on_bad_sample: skip"):
        apply_policy(records, [bad(3), bad(5), bad(5, "no answer"), bad(9)], on_bad_sample="error", report_path=path)
    assert len(path.read_text().splitlines()) == 4


def test_w6_policy_skip_drops_the_record_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = [record(2, "x"), record(3, "x"), record(2, "x", source="b.csv"), record(3, "x", source="b.csv")]
    path = tmp_path / "bad.jsonl"
    with caplog.at_level(logging.WARNING):
        good = apply_policy(records, [bad(3), bad(None, source="b.csv")], on_bad_sample="skip", report_path=path)
    assert good == records[:1]
    assert "cannot be used: 2 x missing file" in caplog.text
    assert path.exists()


@pytest.mark.parametrize("policy", ["error", "skip"])
def test_nothing_left_is_an_error_in_both_policies(policy: str) -> None:
    with pytest.raises(BadSamplesError, match="2 of 2 samples"):
        apply_policy([record(2, "x"), record(3, "x")], [bad(2), bad(3)], on_bad_sample=policy)  # type: ignore[arg-type]
    with pytest.raises(BadSamplesError, match="1 of 1 samples"):
        apply_policy([], [bad(2)], on_bad_sample=policy)  # type: ignore[arg-type]


def test_good_records_pass_and_other_policies_do_not(caplog: pytest.LogCaptureFixture) -> None:
    records = [record(2, "x"), record(3, "y")]
    assert apply_policy(iter(records), [], on_bad_sample="error") == records
    assert not caplog.records
    with pytest.raises(PathPluginsError, match="'ignore', expected 'error' or 'skip'"):
        apply_policy(records, [], on_bad_sample="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "turns"),
    [
        (1, (("user", "<image>\nQ"), ("assistant", "A"))),
        (0, (("system", "S"), ("user", "Q"), ("assistant", "A"), ("user", "Q"), ("assistant", "A"))),
        (3, (("user", "<image><image>"), ("assistant", "A"), ("user", "and <image>"), ("assistant", "A"))),
    ],
)
def test_good_record(images: int, turns: tuple) -> None:
    assert check_record(record(2, *"abc"[:images], turns=turns)) is None


@pytest.mark.parametrize(
    ("images", "turns", "reason", "detail"),
    [
        (1, (("user", "Q"), ("assistant", "A")), "placeholder count", "0 <image> in the text but 1 images"),
        (1, (("user", "<image><image>"), ("assistant", "A")), "placeholder count", "2 <image> in the text but 1"),
        (1, (("user", "Q"), ("assistant", "<image>")), "misplaced placeholder", "a turn of assistant"),
        (1, (("system", "<image>"), ("user", "Q"), ("assistant", "A")), "misplaced placeholder", "a turn of system"),
        (1, (("user", "<image>"), ("assistant", " \n")), "empty answer", "no text"),
        (0, (("user", "Q"),), "turn order", r"roles are \['user'\]"),
        (0, (("assistant", "A"),), "turn order", "assistant last"),
        (0, (("assistant", "A"), ("user", "Q")), "turn order", "assistant last"),
        (0, (("user", "Q"), ("user", "Q")), "turn order", "in turn"),
        (0, (("user", "Q"), ("assistant", "A"), ("system", "S")), "turn order", "in turn"),
        (0, (("system", "S"),), "turn order", "in turn"),
    ],
)
def test_bad_record(images: int, turns: tuple, reason: str, detail: str) -> None:
    problem = check_record(record(7, *"abc"[:images], turns=turns))
    assert problem is not None
    assert (problem.source, problem.row, problem.reason) == ("a.csv", 7, reason)
    report = BadSampleReport(total=1, bad=[problem])
    with pytest.raises(BadSamplesError, match=f"s7: .*{detail}"):
        report.raise_if_any()


def test_no_turns_at_all() -> None:
    empty = Record(id="s", conversations=(), images=(), meta={}, source="a.csv", row=2)
    problem = check_record(empty)
    assert problem is not None
    assert problem.reason == "turn order"


def test_w5_every_row_of_a_bad_bag_is_reported(tmp_path: Path, write_h5: WriteH5) -> None:
    coords = np.array([[0, 0], [0, 256], [256, 0]])
    good = str(write_h5("good.h5", features=np.ones((3, 5)), coords_yx=coords))
    narrow = str(write_h5("narrow.h5", features=np.ones((3, 4)), coords_yx=coords))
    pointer, missing = str(tmp_path / "pointer.h5"), str(tmp_path / "missing.h5")
    Path(pointer).write_text("version https://git-lfs.github.com/spec/v1\n")
    records = [record(2, good), record(3, narrow, good), record(4, missing), record(5, pointer), record(6, missing)]
    found = check_images(records, lambda path: check_bag(path, BagContract(feature_dim=5)), workers=3)
    assert [(sample.row, sample.reason) for sample in found] == [
        (3, "wrong feature width"),
        (4, "missing file"),
        (5, "Git-LFS pointer"),
        (6, "missing file"),
    ]
    assert "missing.h5: no such file" in found[1].detail


class Counting:
    """A check of its own, which counts: reads the file and refuses what does not start with G."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, image: str) -> None:
        with self._lock:
            self.calls[Path(image).name] += 1
        if not Path(image).read_text().startswith("G"):
            raise ValueError("not a G")


def test_each_image_once_and_passed_ones_not_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, text in {"a": "G", "b": "bad", "c": "GG"}.items():
        (tmp_path / name).write_text(text)
    paths = {name: str(tmp_path / name) for name in "abcd"}
    records = [record(row, paths[name], paths["a"]) for row, name in enumerate("aabbcd", start=2)]
    cache, check = tmp_path / "passed.json", Counting()
    with caplog.at_level(logging.INFO):
        found = check_images(records, check, cache=cache, cache_key="g", progress=True)
    assert check.calls == Counter("abcd")
    assert [(sample.row, sample.reason) for sample in found] == [
        (4, "unusable file"),
        (5, "unusable file"),
        (7, "missing file"),
    ]
    assert found[0].detail == f"{paths['b']}: not a G"
    assert "checked 4 of 4 files, 2 bad" in caplog.text

    again = Counting()
    assert check_images(records, again, cache=cache, cache_key="g") == found
    assert again.calls == Counter("bd")
    other = Counting()
    check_images(records, other, cache=cache, cache_key="h")
    assert other.calls == Counter("abcd")

    (tmp_path / "c").write_text("changed")
    changed = Counting()
    assert [sample.row for sample in check_images(records, changed, cache=cache, cache_key="g")] == [4, 5, 6, 7]
    assert changed.calls == Counter("bcd")


def test_an_interrupted_check_keeps_what_it_learnt(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("G")
    records = [record(2, str(tmp_path / "a")), record(3, str(tmp_path / "b"))]
    cache = tmp_path / "passed.json"

    def check(image: str) -> None:
        if image.endswith("b"):
            raise ZeroDivisionError("a mistake in the check itself is not the file's")

    with pytest.raises(ZeroDivisionError):
        check_images(records, check, workers=1, cache=cache)
    again = Counting()
    check_images(records, again, cache=cache)
    assert again.calls == Counter("b")
