"""Configuration of `custom_llava`: which parts, with which options."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from pathplugins.models.custom_llava.auto import register
from pathplugins.models.custom_llava.config_keys import check_keys
from pathplugins.models.custom_llava.rope import correct_rope, legacy_rope


class CustomLlavaConfig(PretrainedConfig):
    """Vision tower x token selector x connector x language model.

    Args:
        text_config: configuration of the language model (any causal LM whose weights are named ``model.*`` and
            ``lm_head.*``); a dict with ``model_type`` or a config object.
        vision_config: ``{"model_type": <name in TOWERS>, **options of that tower}``.
        projector_config: ``{"type": <name in CONNECTORS>, **options of that connector}``.
        vision_feature_select_mode: name of the token selector.
        selector_config: options of that selector.
        image_seq_length: token budget of the selector, per slide or image, CLS not counted; 0 keeps the slide's CLS
            token only.
        question_marks: what tells the user's question from the rest in token ids, see
            `pathplugins.models.custom_llava.questions`; needed by a selector that looks at the question.
        image_token_id: vocabulary entry that stands for one vision token.
        use_prefix_lm_mask: everything before the answer attends in both directions.
        joint_lora: low-rank weights beside layers of the language model, which are trained with it, see
            `pathplugins.models.custom_llava.joint_lora`.
    """

    model_type = "custom_llava"
    sub_configs = {"text_config": AutoConfig}  # noqa: RUF012 - a class attribute by Transformers' contract

    def __init__(
        self,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        vision_config: dict[str, Any] | None = None,
        projector_config: dict[str, Any] | None = None,
        vision_feature_select_mode: str = "random_sample",
        selector_config: dict[str, Any] | None = None,
        image_seq_length: int = 1536,
        question_marks: dict[str, Any] | None = None,
        image_token_id: int | None = None,
        use_prefix_lm_mask: bool = False,
        joint_lora: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        register()  # whoever holds a configuration will ask the Auto classes for the rest
        if text_config is None:
            text_config = {"model_type": "llama"}
        if isinstance(text_config, dict):
            options = legacy_rope(dict(text_config))
            # Transformers 4.48 saves that it has chosen a kernel, but not which: it would fall back to the slow one.
            options.pop("_attn_implementation_autoset", None)
            text_config = AutoConfig.for_model(options.pop("model_type"), **options)
        correct_rope(text_config)
        self.text_config = text_config
        self.vision_config = dict(vision_config or {})
        self.projector_config = dict(projector_config or {})
        self.vision_feature_select_mode = vision_feature_select_mode
        self.selector_config = dict(selector_config or {})
        self.image_seq_length = image_seq_length
        self.question_marks = question_marks
        self.image_token_id = image_token_id
        self.use_prefix_lm_mask = use_prefix_lm_mask
        self.joint_lora = joint_lora
        # Which of the two levels Transformers obeys changed three times between 4.48 and 5: both must say the same.
        kwargs["tie_word_embeddings"] = text_config.tie_word_embeddings
        super().__init__(**kwargs)

    @property
    def vocab_size(self) -> int:
        """Rows of the language model's embedding, which PEFT compares to tell whether to save them."""
        return self.text_config.vocab_size

    @vocab_size.setter
    def vocab_size(self, rows: int) -> None:
        self.text_config.vocab_size = rows

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> CustomLlavaConfig:
        """Build the configuration of a ``config.json``; a key that nobody reads is a `PathPluginsError`."""
        folder = kwargs.get("name_or_path")
        check_keys(config_dict, OWN_KEYS, f"{Path(folder) / 'config.json'}" if folder else "config.json")
        return super().from_dict(config_dict, **kwargs)


OWN_KEYS = tuple(inspect.signature(CustomLlavaConfig).parameters)[:-1]
"""Our keys at the top of ``config.json``."""

AutoConfig.register(CustomLlavaConfig.model_type, CustomLlavaConfig, exist_ok=True)  # see `auto.apply`
