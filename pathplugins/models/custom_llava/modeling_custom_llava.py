"""Model `custom_llava`: image features spliced into the embeddings of a causal language model.

Axes: B samples, T text positions, I images in the batch, N patches of one bag, D patch feature width, C tower width,
H width of the language model. Bags are ragged and packed along the first dimension with their counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel

from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers import TOWERS

VISION_INPUTS = ("patch_features", "patch_coords", "patch_counts", "patch_seeds")


class CustomLlavaForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Slide or image question answering with any causal LM of Transformers.

    The language model keeps its own key names (``model.*``, ``lm_head.*``), which is what lets a checkpoint be composed
    from an existing one without copying its shards. Its own ``forward`` runs, so soft-capped or scaled logits and its
    loss are the ones it was trained with.
    """

    config_class = CustomLlavaConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = "past_key_values"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flash_attn_2 = True  # the name up to Transformers 4.53
    _supports_cache_class = True

    def __init__(self, config: CustomLlavaConfig) -> None:
        super().__init__(config)
        causal = AutoModelForCausalLM.from_config(config.text_config, torch_dtype=torch.get_default_dtype())
        self.model, self.lm_head = causal.model, causal.lm_head
        # Kept outside the module tree: its children are ours, its forward is what the LLM's authors wrote.
        self.__dict__["_causal"] = causal
        self._no_split_modules = [*(causal._no_split_modules or [])]
        tied = config.text_config.tie_word_embeddings
        self._tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"} if tied else None

        vision = dict(config.vision_config)
        self.vision_tower = TOWERS.get(vision.pop("model_type"))(vision)
        self.token_selector = SELECTORS.get(config.vision_feature_select_mode)()
        projector = dict(config.projector_config)
        self.multi_modal_projector = CONNECTORS.get(projector.pop("type"))(
            self.vision_tower.hidden_size, config.text_config.hidden_size, **projector
        )
        self.ablate_vision = False
        """While True the projected vision tokens are zero: how much of the loss does the picture explain?"""
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        std = getattr(self.config.text_config, "initializer_range", 0.02)
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif "RMSNorm" in type(module).__name__:
            nn.init.ones_(module.weight)
        elif any(module is part for part in (self.vision_tower, self.multi_modal_projector)):
            getattr(module, "reset_parameters", lambda: None)()  # bare parameters, which no layer type above covers

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token embedding."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the head."""
        self.lm_head = new_embeddings

    def get_decoder(self) -> nn.Module:
        """The language model without its head."""
        return self.model

    def _set_gradient_checkpointing(
        self, enable: bool = True, gradient_checkpointing_func: Callable[..., Any] = checkpoint
    ) -> None:
        super()._set_gradient_checkpointing(enable, _checkpoint_frozen_layers_too(gradient_checkpointing_func))

    def get_image_features(
        self, patch_features: Tensor, patch_coords: Tensor, patch_counts: Tensor, patch_seeds: Tensor | None = None
    ) -> tuple[Tensor, list[int]]:
        """Vision tokens in the language model's space.

        Args:
            patch_features: [sum N, D] patch features of all bags.
            patch_coords: [sum N, 2] int64 (x, y) pixels at the tower's resolution.
            patch_counts: [I] int64 patches per bag.
            patch_seeds: [I] int64, what a random selector draws with; zeros when None.

        Returns:
            [sum of tokens, H] and the number of tokens per image.
        """
        counts = patch_counts.tolist()
        seeds = None if patch_seeds is None else patch_seeds.tolist()
        cls, tokens = self.vision_tower(patch_features, patch_coords, patch_counts)  # [I, C], [sum N, C]
        chosen = self.token_selector(tokens, patch_coords, counts, self.config.image_seq_length, cls=cls, seeds=seeds)
        weight = self.multi_modal_projector.linear_1.weight
        features = self.multi_modal_projector(chosen.tokens.to(weight.dtype))  # [sum of tokens, H]
        return (features * 0 if self.ablate_vision else features), chosen.counts

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        patch_features: Tensor | None = None,
        patch_coords: Tensor | None = None,
        patch_counts: Tensor | None = None,
        patch_seeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Loss and logits of the language model; the vision inputs are those of `get_image_features`.

        Args:
            input_ids: [B, T]; as many ``image_token_id`` as there are vision tokens.
            attention_mask: [B, T], 1 where there is a token.
            position_ids: [B, T].
            past_key_values: cache of the language model.
            inputs_embeds: [B, T, H] instead of ``input_ids``.
            labels: [B, T], -100 where no loss is taken.
            patch_features: see `get_image_features`.
            patch_coords: see `get_image_features`.
            patch_counts: see `get_image_features`.
            patch_seeds: see `get_image_features`.
            **kwargs: handed to the language model's own forward.
        """
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if inputs_embeds is None:
            is_image = input_ids == self.config.image_token_id  # [B, T]
            # The placeholder may lie outside the vocabulary, so it is never looked up.
            inputs_embeds = self.get_input_embeddings()(input_ids.masked_fill(is_image, 0))  # [B, T, H]
            if patch_features is not None:
                features, _ = self.get_image_features(patch_features, patch_coords, patch_counts, patch_seeds)
                inputs_embeds = splice(inputs_embeds, is_image, features)
            elif past == 0 and bool(is_image.any()):
                raise ValueError("the text holds image placeholders but no bag was given: pass patch_features")
        if self.config.use_prefix_lm_mask and past == 0:
            if self.training and labels is None:
                raise ValueError("use_prefix_lm_mask needs the labels in forward: a loss computed outside the model hides them")
            attention_mask = prefix_lm_mask(attention_mask, labels, inputs_embeds)
        self._causal.model, self._causal.lm_head = self.model, self.lm_head  # PEFT or a resize may have replaced them
        return self._causal(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            labels=labels,
            **kwargs,
        )

    def prepare_inputs_for_generation(self, input_ids: Tensor, past_key_values: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Vision inputs go in with the prompt only; later steps read them from the cache."""
        vision = {name: kwargs.pop(name, None) for name in VISION_INPUTS}
        inputs = super().prepare_inputs_for_generation(input_ids, past_key_values=past_key_values, **kwargs)
        if past_key_values is None or past_key_values.get_seq_length() == 0:
            inputs.update(vision)
        return inputs

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Beams and several answers per prompt: repeat whole bags, not single rows of the packed tensors."""
        vision = {name: kwargs.pop(name, None) for name in VISION_INPUTS}
        if expand_size > 1 and vision["patch_counts"] is not None:
            vision = self._repeat_bags(vision, input_ids, expand_size)
        input_ids, kwargs = super()._expand_inputs_for_generation(
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **kwargs
        )
        return input_ids, {**kwargs, **{name: value for name, value in vision.items() if value is not None}}

    def _repeat_bags(self, vision: dict[str, Any], input_ids: Tensor, times: int) -> dict[str, Any]:
        counts = vision["patch_counts"].tolist()
        left = (input_ids == self.config.image_token_id).sum(1).tolist()  # placeholders not yet given a bag, per sample
        sample, order = 0, [[] for _ in left]
        for bag, count in enumerate(counts):
            while left[sample] == 0:
                sample += 1
            left[sample] -= 1 + self.token_selector.num_tokens(count, self.config.image_seq_length)
            order[sample].append(bag)
        bags = [bag for owned in order for _ in range(times) for bag in owned]
        per_bag = {name: vision[name].split(counts) for name in ("patch_features", "patch_coords")}
        repeated = {name: torch.cat([parts[bag] for bag in bags]) for name, parts in per_bag.items()}
        for name in ("patch_counts", "patch_seeds"):
            repeated[name] = None if vision[name] is None else vision[name][bags]
        return repeated


def splice(embeds: Tensor, is_image: Tensor, features: Tensor) -> Tensor:
    """Put features [n, H] at the n placeholders of ``embeds`` [B, T, H], in order."""
    slots, given = int(is_image.sum()), features.shape[0]
    if slots != given:
        raise ValueError(
            f"{slots} image placeholders in the batch but {given} vision tokens; the processor and the token selector "
            "disagree on tokens per image (was the text truncated by cutoff_len?)"
        )
    return embeds.masked_scatter(is_image[..., None].expand_as(embeds), features.to(embeds.dtype))


def prefix_lm_mask(attention_mask: Tensor | None, labels: Tensor | None, embeds: Tensor) -> Tensor:
    """Additive mask [B, 1, T, T]: causal, but the prompt (all before the first label) sees itself in both directions.

    Without labels (generation) the whole input is the prompt. Padding is never seen.
    """
    batch, length = embeds.shape[:2]
    valid = torch.ones(batch, length, device=embeds.device) if attention_mask is None else attention_mask
    valid = valid.bool()  # [B, T]
    if labels is None:
        prefix = valid
    else:
        prefix = (labels != -100).cumsum(1).eq(0) & valid  # [B, T]
    causal = torch.ones(length, length, dtype=torch.bool, device=embeds.device).tril()
    seen = (causal | (prefix[:, :, None] & prefix[:, None, :])) & valid[:, None, :]  # [B, T, T] (query, key)
    blocked = torch.finfo(embeds.dtype).min
    return torch.zeros(seen.shape, dtype=embeds.dtype, device=embeds.device).masked_fill(~seen, blocked)[:, None]


def _checkpoint_frozen_layers_too(function: Callable[..., Any]) -> Callable[..., Any]:
    """Checkpoint a frozen layer when gradients pass through it.

    LLaMA-Factory skips layers without trainable parameters. With a frozen language model and a trained connector that
    keeps every activation of the LLM; its undecorated function is reachable as ``__wrapped__``. A layer that no
    gradient passes through is run plainly: there is nothing to recompute.
    """
    plain = getattr(function, "__wrapped__", function)

    def run(layer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        owner = getattr(getattr(layer, "func", layer), "__self__", None)  # a bound method, possibly in a partial
        if owner is None or any(parameter.requires_grad for parameter in owner.parameters()):
            return function(layer, *args, **kwargs)
        if any(isinstance(value, Tensor) and value.requires_grad for value in args):
            return plain(layer, *args, **kwargs)
        return layer(*args, **kwargs)

    return run
