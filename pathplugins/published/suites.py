"""Evaluation suites: published test sets, and how each is asked and scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One published test set."""

    name: str
    format: str
    """What reads it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the format."""
    task: str
    """How it is scored."""
    by: tuple[str, ...] = ()
    """Fields that tell its categories; those that a copy of the data lacks are left out."""
    files: tuple[str, ...] = ()
    """Names of the test file in a folder of the data, the first that is there; none: the folder itself."""
    parts: str | None = None
    """Names of the files that hold the test set together in a folder without a test file; the folder is the data."""
    images: tuple[str, ...] = ()
    """Folders of the images in that folder, the first that is there."""
    max_new_tokens: int | None = None
    """Length of an answer in the published evaluation, where it is known."""
    questions: tuple[int, ...] = ()
    """How many the published test set holds, in each form it is published in."""
    published: str
    """What the published evaluation does, and how ours differs."""
    source: str


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            name="pathvqa",
            format="path_vqa",
            options={"split": "test"},
            task="vqa",
            by=("answer_type",),
            images=("pvqa/images", "images"),
            questions=(6719, 6761),  # the hub's, where repeated rows are left out, and the archive's
            published="the test split; questions as they are; exact match of yes/no and of other answers, as here",
            source="https://huggingface.co/datasets/flaviagiammarino/path-vqa (6,719); the archive of "
            "https://github.com/UCSD-AI4H/PathVQA (6,761: 3,391 closed and 3,370 open ones, as counted in "
            "https://huggingface.co/datasets/simwit/medmoe-path-vqa)",
        ),
        Suite(
            name="pmc-vqa",
            format="pmc_vqa",
            task="choices",
            files=("test_clean.csv", "test.csv", "test_2.csv"),
            images=("images", "figures", "images_2"),
            questions=(2000,),
            published="test_clean, which people have checked; accuracy of the letter, as here",
            source="https://huggingface.co/datasets/xmcmic/PMC-VQA; the number: "
            "https://github.com/openmedlab/Awesome-Medical-Dataset/blob/main/resources/PMC-VQA.md",
        ),
        Suite(
            name="quilt-vqa",
            format="quilt_vqa",
            task="vqa",
            by=("answer_type",),
            files=("quiltvqa_test_w_ans.json", "quiltvqa_test*_w_ans.json"),
            images=("images", "quilt_vqa/images"),
            questions=(1283,),  # 940 open and 343 closed
            published="questions as they are, greedy; closed: any answer without no or not is a yes (here it has to be "
            "yes or no), open: share of the right words (other_token_recall here counts each once)",
            source="https://github.com/aldraus/quilt-llava",
        ),
        Suite(
            name="quilt-vqa-red",
            format="quilt_vqa",
            task="vqa",
            by=("answer_type",),
            files=("quiltvqa_red_test_w_ans.json", "quiltvqa_red*_w_ans.json"),
            images=("red_circle", "images"),
            questions=(335,),
            published="the same about images with a red circle",
            source="https://huggingface.co/datasets/wisdomik/QuiltVQA_RED; the file: https://github.com/aldraus/"
            "quilt-llava",
        ),
        Suite(
            name="pmc-vqa-quilt",
            format="pmc_vqa",
            options={"in_quilt": False, "published_prompt": True},
            task="choices",
            files=("pmcvqa_pathology_subset.csv",),
            images=("pmcvqa_images", "images"),
            published="rows that are not in Quilt's own training data, the choices as lines below the question and a "
            "request for the letter, greedy; accuracy of a letter found by patterns (here by `parse_choice`)",
            source="https://github.com/aldraus/quilt-llava",
        ),
        Suite(
            name="slidebench",
            format="slidebench",
            options={"published_prompt": True},
            task="choices",
            by=("Tumor", "Broad Category", "Narrow Category"),
            files=("*TCGA*.csv", "SlideBench*.csv", "*.csv"),
            images=("bags", "TCGA_patch_feat"),
            max_new_tokens=500,
            questions=(7827,),
            published="VQA (TCGA); the choices as lines `A. text` below the question, greedy; accuracy (no scorer was "
            "published)",
            source="https://github.com/uni-medical/SlideChat",
        ),
        Suite(
            name="wsi-bench",
            format="wsi_bench",
            options={"split": "test", "kind": "open"},
            task="report",
            by=("metadata",),
            files=("WSI-Bench-test.jsonl", "*.jsonl"),
            parts="*_test.json",
            images=("bags",),
            max_new_tokens=1024,
            questions=(2838,),
            published="open questions, sampled at temperature 0.2 without a seed, claims judged by GPT-4; here greedy, "
            "and without a judge: n-grams and clinical terms, which are not those numbers",
            source="https://github.com/XinhengLyu/WSI-LLaVA",
        ),
        Suite(
            name="wsi-bench-choices",
            format="wsi_bench",
            options={"split": "test", "kind": "choices"},
            task="choices",
            by=("metadata",),
            parts="*_choice_test.json",
            images=("bags",),
            max_new_tokens=1024,
            published="the tasks with choices, which stand in the question; accuracy of the letter (no scorer was "
            "published)",
            source="https://github.com/XinhengLyu/WSI-LLaVA",
        ),
        Suite(
            name="class-folders",
            format="class_folders",
            options={"split": "test"},
            task="labels",
            published="zero-shot classification as in PA-LLaVA: BACH, OSCC, ColonPath, or images of yours in a folder "
            "per class; of folders train, val and test the last",
            source="https://github.com/ddw2AIGROUP2CQUPT/PA-LLaVA",
        ),
    )
}
"""Name -> suite, as ``pathplugins evaluate --suite`` takes it."""
