"""Prompts: the questions, requests and instructions of training on slides and on image patches, in one place.

All wording is ours, except LLaVA's system prompt. Models learn it: to change a sentence is to change the training
set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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
"""The request for every slide in report training (stage 2), where only the connector learns."""

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

PATCH_SYSTEM_PROMPT = (
    "You are an assistant to pathologists. Each conversation shows you images of stained tissue under the microscope, "
    "taken at any magnification. Base every answer on what an image shows: staining, tissue architecture, the size, "
    "shape and arrangement of cells and nuclei, and what lies between them. Use standard pathology terms, answer a "
    "closed question in a word or two and a request for a description in orderly prose. When options are offered, "
    "choose exactly one and repeat its letter and text. If an image does not hold the evidence a question needs, say "
    "so plainly instead of guessing."
)
"""For chat about single images of tissue."""

LLAVA_SYSTEM_PROMPT = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions."
)
"""The system prompt of LLaVA v1.5 and Vicuna, word for word: PathGen-LLaVA is trained and asked with it."""

WSI_LLAVA_EVALUATION_PROMPT = LLAVA_SYSTEM_PROMPT.replace(" user", " human")
"""That of the official WSI-LLaVA's evaluation: it was trained with the one above."""

PATCH_CAPTION_REQUESTS = (
    "Describe this pathology image.",
    "What can be seen in this microscopic image?",
    "Please write a caption for this image of tissue.",
    "Which histological features does this image show?",
    "Explain what this field of view contains.",
    "Give a short account of the tissue in this image.",
    "What would a pathologist point out here?",
    "Characterise the cells and their surroundings in this image.",
    "Summarise the findings visible in this micrograph.",
    "Tell me about the morphology shown here.",
    "What does this image of a specimen reveal?",
    "Put what you see in this pathology image into words.",
    "How would you describe this tissue?",
    "Provide a description that fits this image.",
    "Please interpret this histology image.",
    "Name the main observations in this image.",
    "What is the content of this microscopic picture?",
    "Write down what this image shows, as for a figure legend.",
    "Comment on the structures in this field.",
    "Report the relevant details of this pathology image.",
    "Look at this tissue and say what is notable.",
)
"""Asked about images of tissue that have a caption and no question (the published set has as many)."""

CLASS_QUESTION = "Which of these does this image show: {labels}? Answer with one of them."
"""Asked where images are sorted into classes."""

ORGAN_QUESTIONS = (
    "Which organ does this tissue come from?",
    "What is the organ of origin of this tissue?",
    "From which part of the body was this specimen taken?",
    "Name the organ that this patch of tissue belongs to.",
)
"""Asked about patches of known organs."""

TUMOUR_QUESTIONS = (
    "Does this patch of lymph node contain tumour?",
    "Is there tumour in this lymph node tissue?",
    "Can tumour cells be seen in this patch of a lymph node?",
)
"""Asked with yes and no about patches of lymph nodes."""

TUMOUR_REQUESTS = (
    "What does this patch of lymph node show: tumour or normal tissue?",
    "Classify this lymph node tissue as tumour or normal tissue.",
    "Say whether this patch of a lymph node is tumour or normal tissue.",
)
"""Asked openly about the same."""

MIDDLE = "Judge by the middle of the image."
"""Added where a label speaks of the middle alone."""

TISSUE_QUESTIONS = (
    "Which of these cover at least {share} of this prostate biopsy image: {tissues}?",
    "Of {tissues}, which take up {share} or more of this image of the prostate?",
    "Name all of these that fill at least {share} of this prostate image: {tissues}.",
)
"""Asked about images with a mask of tissue classes."""

CANCER_QUESTIONS = (
    "Does this prostate biopsy image contain cancer?",
    "Is there cancer in this image of the prostate?",
    "Can cancer be seen in this prostate tissue?",
)
"""Asked with yes and no about the same."""


def caption_question(slide_id: str) -> str:
    """Return the caption question of a slide, the same in every process and on every machine."""
    return CAPTION_QUESTIONS[_number(slide_id.encode()) % len(CAPTION_QUESTIONS)]


def patch_caption_request(sample_id: str, seed: int = 0, requests: Sequence[str] = PATCH_CAPTION_REQUESTS) -> str:
    """Return the caption request of an image, likewise; another seed draws others."""
    return requests[stable_number("request", str(seed), sample_id) % len(requests)]


def picked(texts: Sequence[str], sample_id: str, seed: int = 0) -> str:
    """Return one of several texts for a sample, likewise."""
    return texts[stable_number("text", str(seed), sample_id) % len(texts)]


def stable_number(*texts: str) -> int:
    """Draw a 64-bit number from texts, the same in every process and on every machine (``hash`` is salted)."""
    return _number("\0".join(texts).encode())


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def with_source_style(question: str, data_source: str) -> str:
    """Append the style lines of its data source to a question, if it has any."""
    if data_source.strip().casefold() != "pathtext":
        return question
    return "\n".join((f"{question}\n", *PATHTEXT_STYLE))
