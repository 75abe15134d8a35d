"""The wording shown to the model (features W12, W13, W15)."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from pathplugins.data.prompts import (
    CAPTION_QUESTIONS,
    PATCH_CAPTION_REQUESTS,
    PATCH_SYSTEM_PROMPT,
    PATHTEXT_STYLE,
    REPORT_REQUEST,
    SYSTEM_PROMPT,
    caption_question,
    patch_caption_request,
    stable_number,
    with_source_style,
)


def test_texts_are_whole() -> None:
    assert len(set(CAPTION_QUESTIONS)) == 30
    assert len(set(PATCH_CAPTION_REQUESTS)) == 21
    assert not any("slide" in text for text in (*PATCH_CAPTION_REQUESTS, PATCH_SYSTEM_PROMPT))
    texts = (*CAPTION_QUESTIONS, *PATCH_CAPTION_REQUESTS, *PATHTEXT_STYLE)
    for text in (*texts, REPORT_REQUEST, SYSTEM_PROMPT, PATCH_SYSTEM_PROMPT):
        assert text == text.strip()
        assert text[-1] in ".?"
        assert "<image>" not in text
        assert "  " not in text
    assert 100 <= len(SYSTEM_PROMPT.split()) <= 140
    assert 80 <= len(PATCH_SYSTEM_PROMPT.split()) <= 140


def test_w13_the_question_of_a_slide_is_the_same_in_every_process() -> None:
    """Pinned: the salted ``hash`` gives another question in every process."""
    code = "from pathplugins.data.prompts import *; print(CAPTION_QUESTIONS.index(caption_question('TCGA-A1-A0SB.x')))"
    for hash_seed in ("1", "2"):
        env = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
        printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert printed.stdout.strip() == "2"


def test_w13_every_question_is_asked() -> None:
    asked = Counter(caption_question(f"slide-{number}") for number in range(3000))
    assert set(asked) == {*CAPTION_QUESTIONS}
    assert min(asked.values()) > 50  # 100 expected


def test_a6_every_caption_request_is_drawn_by_seed_and_id() -> None:
    names = [f"image-{number}" for number in range(2100)]
    asked = Counter(patch_caption_request(name) for name in names)
    assert set(asked) == {*PATCH_CAPTION_REQUESTS}
    assert min(asked.values()) > 50  # 100 expected
    assert sum(patch_caption_request(n, 1) == patch_caption_request(n, 2) for n in names) < 200  # 100 expected
    assert stable_number("a", "b") == 18429100309458631331  # pinned: a new number would change the training set
    assert stable_number("a", "b") != stable_number("ab")


@pytest.mark.parametrize("source", ["PathText", "pathtext", " PATHTEXT "])
def test_w15_pathtext_style_in_any_case(source: str) -> None:
    assert with_source_style("Which type?", source).split("\n") == ["Which type?", "", *PATHTEXT_STYLE]


@pytest.mark.parametrize("source", ["", "WSI-VQA", "PathText-2"])
def test_w15_no_style_for_other_sources(source: str) -> None:
    assert with_source_style("Which type?", source) == "Which type?"
