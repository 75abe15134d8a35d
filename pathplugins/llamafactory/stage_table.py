"""Stages of LLaMA-Factory: which of our keys each one obeys, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.markdown import markdown_table
from pathplugins.llamafactory.keys import KEYS, PathPluginsArguments


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one value of ``stage`` means for our models."""

    about: str
    trainer: str = ""
    """Class of LLaMA-Factory that trains it."""
    parts: tuple[str, ...] = ("",)
    """What stands before ``input_ids`` and ``labels`` in its tokenized samples, once for each text of a sample."""
    refused: str = ""
    """Why our models cannot be trained in it, and what to do instead."""


STAGES: dict[str, Stage] = {
    "sft": Stage(about="questions and answers", trainer="CustomSeq2SeqTrainer"),
    "rm": Stage(about="reward model", trainer="PairwiseTrainer", parts=("chosen_", "rejected_")),
    "dpo": Stage(
        about="preferences, with every pref_loss (orpo and simpo too)",
        trainer="CustomDPOTrainer",
        parts=("chosen_", "rejected_"),
    ),
    "kto": Stage(about="answers marked good or bad", trainer="CustomKTOTrainer", parts=("", "kl_")),
    "pt": Stage(
        about="plain text",
        refused="it leaves out images; train the language model by itself (model_name_or_path: its own path) and "
        "compose again, or set stage: sft",
    ),
    "ppo": Stage(
        about="rewards of generated answers",
        refused="LLaMA-Factory scores the answers without their images; set stage: dpo or stage: kto",
    ),
}
PREFERENCES = ("rm", "dpo", "kto")
"""Stages about answers that are compared or marked."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A key of ours."""

    by: str
    """What obeys it."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Stage that cannot obey it -> why, and what to do instead."""


_OUTSIDE = "the loss is computed outside the model, which hides the labels from it; set use_prefix_lm_mask: false"
_UNREAD = "preferences and marked answers have no data_source; remove the key and filter the file"
_MODEL, _CHECKED, _ACCEPTED = (
    "the model and its processor",
    "a check while the model is composed",
    "nothing, as published",
)

TABLE: dict[str, Row] = {
    **{name: Row(by=_MODEL) for name in KEYS},
    **{name: Row(by=_CHECKED) for name in ("vision_mode", "mm_hidden_size", "mm_use_im_start_end")},
    "mm_use_im_patch_token": Row(by=_CHECKED),
    **{
        name: Row(by=_ACCEPTED)
        for name in ("processor_name_or_path", "mm_vision_select_feature", "mm_patch_merge_type")
    },
    "use_prefix_lm_mask": Row(by=_MODEL, refused={"dpo": _OUTSIDE, "kto": _OUTSIDE}),
    "lr_mult": Row(by="the trainer"),
    "group_by_modality_length": Row(by="the trainer"),
    "do_sanity_check": Row(
        by="the trainer",
        refused=dict.fromkeys(PREFERENCES, "it compares answers' losses, which only stage: sft has; remove the key"),
    ),
    "slide_options": Row(
        by="chat, api and webchat",
        refused=dict.fromkeys(STAGES, "slides are named in chat, api and webchat alone; remove the key"),
    ),
    "check_features": Row(by="the check of the images"),
    "on_bad_sample": Row(by="the check of the samples"),
    "filter_by_data_source": Row(
        by="the reader of our data sets",
        refused=dict.fromkeys(PREFERENCES, _UNREAD),
    ),
}
"""Key of ours -> what obeys it, and where it is refused. The documentation and the tests are made of it, too."""


def refusals(stage: str, values: Mapping[str, Any]) -> list[str]:
    """Return why a run cannot be as its keys say, a line each.

    Args:
        stage: of the run.
        values: key of ours -> value in effect; a key at its default asks for nothing.
    """
    if STAGES[stage].refused:
        return [f"stage: {stage} cannot train this model: {STAGES[stage].refused}"]
    usual = {item.name: item.default for item in fields(PathPluginsArguments)}
    return [
        f"{key} has no effect in stage: {stage}: {row.refused[stage]}"
        for key, row in TABLE.items()
        if stage in row.refused and values.get(key) not in (usual[key], None, False)
    ]


def check_stage(stage: str, values: Mapping[str, Any]) -> None:
    """Raise a `PathPluginsError` that names every key that the stage cannot obey."""
    if lines := refusals(stage, values):
        raise PathPluginsError("\n".join(lines))


def stages_table() -> str:
    """Return the table of keys and stages in Markdown."""
    head = ["key", "obeyed by", *(f"`{stage}`" for stage in STAGES)]
    rows = []
    for key in KEYS:
        answers = [
            "refused" if stage.refused or name in TABLE[key].refused else "yes" for name, stage in STAGES.items()
        ]
        rows.append([f"`{key}`", TABLE[key].by, *answers])
    return markdown_table([head, *rows])
