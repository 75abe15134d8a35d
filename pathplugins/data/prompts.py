"""Prompts: the questions, requests and instructions of slide-level training, in one place.

All wording is ours. It is part of what a model learns: a changed sentence is another training set.
"""

from __future__ import annotations

import hashlib

SYSTEM_PROMPT = (
    "You are an assistant to pathologists who reads digitised tissue slides. Each conversation shows you one "
    "whole-slide image, given as the visual features of many small patches of tissue taken from across the slide. "
    "Base every answer on what the slide shows: tissue architecture, cell and nuclear morphology, stroma, "
    "inflammation, necrosis, mitotic activity and the growth pattern of any tumour. Use standard pathology terms and "
    "name a diagnosis, grade or subtype only as far as the morphology supports it. When options are offered, choose "
    "exactly one and repeat its letter and text. When a report is requested, write complete and orderly prose. If "
    "the slide does not hold the evidence a question needs, such as molecular results or clinical history, say so "
    "plainly instead of guessing."
)
"""For slide-level question answering."""

REPORT_REQUEST = "Write the pathology report for this whole-slide image."
"""What every slide is asked in report training (stage 2), where only the connector learns."""

CAPTION_QUESTIONS = (
    "What does this slide show?",
    "Please report the microscopic findings on this slide.",
    "How would you describe the tissue in this whole-slide image?",
    "Which diagnosis does the morphology on this slide support?",
    "Summarise what a pathologist would note on this slide.",
    "Write a diagnostic summary for this slide.",
    "What are the most important histological findings here?",
    "Describe the architecture and the cells seen on this slide.",
    "Give your reading of this whole-slide image.",
    "What would the microscopy section of a report say about this slide?",
    "Characterise the lesion on this slide as fully as the morphology allows.",
    "Please interpret this histology slide.",
    "Which features of this slide matter for the diagnosis?",
    "What do you see when you look through this specimen?",
    "Tell me what this slide says about the disease.",
    "Provide a written account of the histology shown.",
    "If there is a tumour on this slide, what are its type and features?",
    "Report on this slide as you would to a colleague.",
    "What is your overall impression of this slide?",
    "Compose the findings text for this whole-slide image.",
    "Explain what can be seen on this slide and what it means.",
    "State the diagnosis and the observations behind it.",
    "Give a careful description of the pathology present.",
    "What should be recorded in the report about this slide?",
    "Go through the notable findings of this whole-slide image.",
    "Describe growth pattern, cytology and stroma where they can be judged.",
    "What does the histology of this case tell us?",
    "Please put the findings of this slide into words.",
    "Draft the text a pathologist would sign for this slide.",
    "Assess this slide and report the result.",
)
"""Asked about slides that have a caption but no question of their own."""

PATHTEXT_STYLE = ("Task: describe the slide.", "Style: a full pathology report.")
"""Lines added for PathText samples, whose answers are whole reports and not the phrases other sources use."""


def caption_question(slide_id: str) -> str:
    """The caption question of a slide, the same in every process and on every machine."""
    digest = hashlib.blake2b(slide_id.encode(), digest_size=8).digest()
    return CAPTION_QUESTIONS[int.from_bytes(digest, "big") % len(CAPTION_QUESTIONS)]


def with_source_style(question: str, data_source: str) -> str:
    """The question with the style lines of its data source, if that has any."""
    if data_source.strip().casefold() != "pathtext":
        return question
    return "\n".join((f"{question}\n", *PATHTEXT_STYLE))
