"""Reviews of two answers by a GPT: sums by hand, with unreadable ones left out and counted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.gpt_reviews import pair_in, review_scores


def write(folder: Path, *rows: dict[str, Any] | str) -> Path:
    path = folder / "reviews.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_sums_by_hand(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"question_id": 1, "category": "conv", "tuple": [8, 6]},
        {"question_id": 2, "category": "detail", "tuple": [-1, -1]},
        {"question_id": 3, "category": "conv", "content": "9,10\nThe second ..."},
        "",
        {"question_id": 4, "category": "detail", "content": "Both are good."},
        {"question_id": 5, "score": [7.0, 5.5]},
        {"question_id": 6, "tuple": [3]},
    )
    found = review_scores(path)
    assert [*found] == ["all", "conv", "detail"]
    assert found["all"]["gpt_relative"]["value"] == pytest.approx(100 * (6 + 10 + 5.5) / (8 + 9 + 7))
    assert found["all"]["gpt_first"]["value"] == pytest.approx((8 + 9 + 7) / 3)
    assert found["all"]["gpt_second"]["value"] == pytest.approx((6 + 10 + 5.5) / 3)
    assert (found["all"]["gpt_relative"]["n"], found["all"]["gpt_unreadable"]) == (3, 3)
    assert found["conv"]["gpt_relative"]["value"] == pytest.approx(100 * 16 / 17)
    assert found["detail"] == {"gpt_unreadable": 2}, "the published mean would be -1 of -1, 100 %"


def test_first_scores_of_zero_divide_nothing(tmp_path: Path) -> None:
    assert "gpt_relative" not in review_scores(write(tmp_path, {"tuple": [0, 5]}))["all"]
    some = review_scores(write(tmp_path, {"tuple": [0, 5]}, {"tuple": [4, 5]}))["all"]["gpt_relative"]
    assert some["value"] == pytest.approx(250)
    assert math.isfinite(some["high"])


@pytest.mark.parametrize(
    ("reply", "pair"),
    [
        ("8 6", (8, 6)),
        ("8,6\nBecause", (8, 6)),
        (" 8.5, 6 ", (8.5, 6)),
        ("8  6", (8, 6)),
        ("8 6 7", None),
        ("8", None),
        ("Score: 8 6", None),
        ("8 / 6", None),
        ("-1 -1", None),
        ("", None),
    ],
)
def test_the_first_line_of_a_reply(reply: str, pair: tuple[float, float] | None) -> None:
    assert pair_in(reply) == pair


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["{"], r"reviews\.jsonl:1 is not JSON"),
        (['{"tuple": [1, 2]}', '{"text": "8 6"}'], r"reviews\.jsonl:2 holds no scores; expected one .*tuple"),
        (["[1, 2]"], r"reviews\.jsonl:1 holds no scores"),
        ([""], r"reviews\.jsonl is empty"),
    ],
)
def test_files_that_hold_none(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        review_scores(write(tmp_path, *rows))
    with pytest.raises(PathPluginsError, match=r"nowhere\.jsonl: no such file"):
        review_scores(tmp_path / "nowhere.jsonl")
