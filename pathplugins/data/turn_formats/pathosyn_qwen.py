"""The formats of PathoSynVLM: ChatML with all slides before all text, and a line for each slide in the question."""

from dataclasses import replace

from pathplugins.data.turn_formats.turn_format import TurnFormat

_FIELDS = "Diagnosis: ...\nCertainty: ...\nConclusion: ..."
TASK = (
    "You are a pathology assistant. You will receive multiple WSIs as visual tokens.\n"
    "The visual tokens are separated by WSI markers in order: WSI #1, WSI #2, ...\n\n"
    f"Task:\n- Use evidence across WSIs to write:\n{_FIELDS}\n\n"
    f"Return exactly in the format below:\n{_FIELDS}"
)
"""System prompt of the second stage; learnt answers have these three lines."""
REQUEST = "Please analyze the provided WSIs (as visual tokens) and respond strictly in the requested format."
"""Question of every case of the second stage."""
REPORT_TASK = (
    "You are a pathology assistant. You will receive one WSI as visual tokens.\n"
    "Use the visual evidence to write the report/caption for that WSI.\n"
    "Summarize key histologic findings and give an impression for the given whole-slide image."
)
"""Question of every slide of the first stage, which has no system prompt but the language model's own."""

PATHOSYN_QWEN = TurnFormat(
    name="pathosyn_qwen",
    source="AtlasAnalyticsLab/PathoSynVLM 9138f95: pathosynvlm/histai_dataset.py, chat template of Qwen2.5-Instruct",
    markers=("<|im_start|>", "<|im_end|>"),
    system=("<|im_start|>system\n", "<|im_end|>\n"),
    default_system=TASK,
    user=("<|im_start|>user\n", "<|im_end|>\n"),
    lead="<|im_start|>assistant\n",
    end="<|im_end|>\n",  # learnt with the line break
    images="conversation",
    listed="WSI #{}",
    strip=True,
    stop_words=("<|im_end|>", "<|endoftext|>"),
)
PATHOSYN_QWEN_DOUBLE = replace(PATHOSYN_QWEN, name="pathosyn_qwen_double", default_system=f"{TASK}\n{TASK}")
"""With the task said twice, as the published model was trained."""
PATHOSYN_QWEN_ALIGN = replace(
    PATHOSYN_QWEN,
    name="pathosyn_qwen_align",
    source="AtlasAnalyticsLab/PathoSynVLM 9138f95: pathosynvlm/alignment_dataset.py, chat template of Qwen2.5-Instruct",
    default_system="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    listed="",
)
"""The first stage: one slide and its report."""
