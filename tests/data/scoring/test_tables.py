"""Tables show every number."""

from __future__ import annotations

from pathplugins.data.scoring.metrics import score_labels
from pathplugins.data.scoring.tables import table, table_by


def test_the_table_shows_every_number() -> None:
    scores = score_labels(["benign", "invasive"], ["benign", "invasive", "benign"], ["benign", "?", "invasive"])
    rows = [line.split() for line in table(scores).splitlines()]
    assert [row[:2] for row in rows[1:5]] == [
        *(["accuracy", "0.3333"], ["micro_f1", "0.4000"], ["macro_f1", "0.3333"], ["unparsed", "1"]),
    ]
    assert rows[7:9] == [
        ["benign", "1.0000", "0.5000", "0.6667", "2", "1"],
        ["invasive", "0.0000", "0.0000", "0.0000", "1", "1"],
    ]
    assert rows[-3:] == [
        ["right", "below,", "said", "beside", "1", "2", "none"],
        *(["1", "benign", "1", "1", "0"], ["2", "invasive", "0", "0", "1"]),
    ]


def test_a_large_matrix_is_not_printed() -> None:
    labels = [f"class {number}" for number in range(21)]
    assert table(score_labels(labels, labels, labels)).endswith("of 21 classes is in metrics.json")


def test_values_of_a_field_are_lines() -> None:
    score = {"value": 0.5, "low": 0.0, "high": 1.0, "n": 2}
    groups = {"BRCA": {"accuracy": score, "unparsed": 1, "questions": 2}, "LUAD": {"unparsed": 0, "questions": 1}}
    assert [line.split() for line in table_by("Tumor", groups).splitlines()] == [
        *(["Tumor", "questions", "accuracy", "unparsed"], ["BRCA", "2", "0.5000", "1"], ["LUAD", "1", "-", "0"]),
    ]
