"""Language model of a `custom_llava` in vLLM: its layers alone; what it sees comes in as embeddings of the prompt.

Tower, selector and connector run before the engine (`pathplugins.models.custom_llava.prompt_embeddings`).
Axes: T tokens of a step, H width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.models.utils import init_vllm_registered_model

from pathplugins.core.errors import PathPluginsError

NOT_READ = ("vision_tower.", "multi_modal_projector.", "token_selector.")


class CustomLlavaLanguageModel(nn.Module):
    """Whatever causal language model the directory was composed from, by vLLM's own implementation of it."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = vllm_config.model_config.hf_config
        if getattr(config, "joint_lora", None):
            raise PathPluginsError(
                "joint_lora: vLLM's layers have no low-rank weights beside their own; ask this model with `pathplugins "
                "ask` or serve it with `pathplugins serve`"
            )
        text = config.text_config
        self.language_model = init_vllm_registered_model(
            vllm_config, prefix=prefix, hf_config=text, architectures=text.architectures
        )
        self.make_empty_intermediate_tensors = getattr(self.language_model, "make_empty_intermediate_tensors", None)

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """Look up tokens of the answer: [T] to [T, H]."""
        return self.language_model.embed_input_ids(input_ids)

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the layers on tokens [T] or embeddings [T, H]."""
        return self.language_model(input_ids, positions, intermediate_tensors, inputs_embeds, **kwargs)

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """Return [T, vocabulary]."""
        return self.language_model.compute_logits(hidden_states)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Load the language model's weights, by its own names, and leave out the vision side's."""
        own = ((name, value) for name, value in weights if not name.startswith(NOT_READ))
        return {f"language_model.{name}" for name in self.language_model.load_weights(own)}
