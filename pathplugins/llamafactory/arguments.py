"""LLaMA-Factory's model arguments with our keys, which end in a model directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llamafactory.hparams.model_args import ModelArguments

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.keys import PathPluginsArguments
from pathplugins.llamafactory.model_directory import (
    PARTS,
    VIRTUAL_MODEL,
    compose_model,
    derive_model,
    given,
    model_settings,
)
from pathplugins.llamafactory.value_checks import check_values, read_mapping
from pathplugins.models.learning_rates import check_factors
from pathplugins.models.new_tokens import embedding_rows, new_tokens

_JSON = ("vision_config", "projector_config", "selector_config", "joint_lora", "lr_mult", "slide_options")


@dataclass
class PathModelArguments(PathPluginsArguments, ModelArguments):
    """LLaMA-Factory's model arguments with ours; ends with ``model_name_or_path`` naming a real directory."""

    def __post_init__(self) -> None:
        ModelArguments.__post_init__(self)
        check_values(vars(self), PathPluginsArguments, (), "the arguments")
        for name in _JSON:
            if isinstance(getattr(self, name), str):  # from a command line, where YAML has not been at it
                setattr(self, name, read_mapping(name, getattr(self, name)))
        check_factors(self.lr_mult or {})
        if self.pretrain_mm_mlp_adapter is not None:
            if self.projector_path not in (None, self.pretrain_mm_mlp_adapter):
                raise PathPluginsError(
                    f"projector_path is {self.projector_path} and pretrain_mm_mlp_adapter "
                    f"{self.pretrain_mm_mlp_adapter}, two names of the connector's weights; remove one of the two keys"
                )
            self.projector_path, self.pretrain_mm_mlp_adapter = self.pretrain_mm_mlp_adapter, None
        if self.model_name_or_path == VIRTUAL_MODEL:
            self.model_name_or_path = str(compose_model(self))
        elif given(self, PARTS):
            self.model_name_or_path = str(derive_model(self))
        self._refuse_missing_tokens()
        # The directory has them now: a copy of these arguments (DPO makes one) asks for nothing more.
        for name in PARTS:
            setattr(self, name, None)

    def _refuse_missing_tokens(self) -> None:
        """Raise where an adapter was trained with new tokens that these arguments do not add."""
        settings = model_settings(self.model_name_or_path)
        for adapter in (Path(name) for name in (self.adapter_name_or_path or []) if settings is not None):
            rows = embedding_rows(adapter)
            if (
                rows is None
                or rows == settings["text_config"]["vocab_size"]
                or self.add_tokens
                or self.add_special_tokens
            ):
                continue
            kinds = zip(
                ("add_tokens", "add_special_tokens"), new_tokens(adapter, Path(self.model_name_or_path)), strict=True
            )
            keys = [f'{key}: "{",".join(tokens)}"' for key, tokens in kinds if tokens]
            raise PathPluginsError(
                f"adapter_name_or_path: {adapter} was trained with new tokens, {rows} rows in the embedding where the "
                f"model has {settings['text_config']['vocab_size']}; set {' and '.join([*keys, 'resize_vocab: true'])}"
            )
