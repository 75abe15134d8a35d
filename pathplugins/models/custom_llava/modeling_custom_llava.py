"""Model `custom_llava`: image features spliced into the embeddings of a causal language model.

Axes: B samples, T text positions (or tiles of all images, where pixels are meant), I images in the batch, N patches of
one bag or tokens of one tile, D patch feature width, C tower width, H width of the language model, S tile side.
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
from pathplugins.models.custom_llava.placeholders import owned_images, splice
from pathplugins.models.custom_llava.prefix_lm import prefix_lm_mask
from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS, take_images
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.selectors.base import Bags
from pathplugins.models.towers import TOWERS


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
        config.text_config = causal.config  # from_config copied it, and a resize must reach the LLM's own loss
        self.model, self.lm_head = causal.model, causal.lm_head
        # Kept outside the module tree: its children are ours, its forward is what the LLM's authors wrote.
        self.__dict__["_causal"] = causal
        embedding = next(name for name, part in causal.named_modules() if part is causal.get_input_embeddings())
        tied = config.text_config.tie_word_embeddings
        self._tied_weights_keys = {"lm_head.weight": f"{embedding}.weight"} if tied else None

        vision = dict(config.vision_config)
        self.vision_tower = TOWERS.get(vision.pop("model_type"))(vision)
        self.token_selector = SELECTORS.get(config.vision_feature_select_mode)()
        projector = dict(config.projector_config)
        self.multi_modal_projector = CONNECTORS.get(projector.pop("type"))(
            self.vision_tower.hidden_size, config.text_config.hidden_size, **projector
        )
        self._reads_images = self.vision_tower.reads == "images"
        self._merges_tiles = getattr(self.multi_modal_projector, "across_tiles", False)
        whole = [type(part).__name__ for part in (self.vision_tower, self.multi_modal_projector)]
        self._no_split_modules = [*(causal._no_split_modules or []), *whole]
        self.ablate_vision = False
        """While True the projected vision tokens are zero: how much of the loss does the picture explain?"""
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.LayerNorm):  # not every language model has one, so not every one knows it
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif module is self.vision_tower or module is self.multi_modal_projector:
            getattr(module, "reset_parameters", lambda: None)()  # bare parameters; the layers inside come one by one
        else:
            self._causal._init_weights(module)

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
        self,
        patch_features: Tensor | None = None,
        patch_coords: Tensor | None = None,
        patch_counts: Tensor | None = None,
        patch_seeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        tile_counts: Tensor | None = None,
    ) -> tuple[Tensor, list[int]]:
        """Vision tokens in the language model's space, of bags or of images, whichever the tower reads.

        Args:
            patch_features: [sum N, D] patch features of all bags.
            patch_coords: [sum N, 2] int64 (x, y) pixels at the tower's resolution.
            patch_counts: [I] int64 patches per bag.
            patch_seeds: [I] int64, what a random selector draws with; zeros when None.
            pixel_values: [T, 3, S, S] tiles of all images, the thumbnail of each first.
            tile_counts: [I] int64 tiles per image, thumbnail included.

        Returns:
            [sum of tokens, H] and the number of tokens per image.
        """
        if (pixel_values if self._reads_images else patch_features) is None:
            wanted, got = ("pixel_values", "a bag") if self._reads_images else ("patch_features", "an image")
            raise ValueError(f"this model was given {got}, its vision tower takes {wanted}; use the model's processor")
        if self._reads_images:
            features, counts = self._image_tokens(pixel_values, tile_counts.tolist())
        else:
            features, counts = self._bag_tokens(patch_features, patch_coords, patch_counts, patch_seeds)
        return (features * 0 if self.ablate_vision else features), counts

    def _bag_tokens(
        self, features: Tensor, coords: Tensor, patch_counts: Tensor, patch_seeds: Tensor | None
    ) -> tuple[Tensor, list[int]]:
        counts = patch_counts.tolist()
        seeds = [0] * len(counts) if patch_seeds is None else patch_seeds.tolist()
        cls, tokens = self.vision_tower(features, coords, patch_counts)  # [I, C], [sum N, C]
        bags = Bags(tokens=tokens, coords=coords, counts=counts, seeds=seeds, cls=cls)
        chosen = self.token_selector(bags, self.config.image_seq_length)
        return self.multi_modal_projector(chosen.tokens), chosen.counts  # [sum of tokens, H]

    def _image_tokens(self, pixel_values: Tensor, tile_counts: list[int]) -> tuple[Tensor, list[int]]:
        _, tokens = self.vision_tower(pixel_values)  # [T, N, C]
        if self._merges_tiles:
            tokens, per_image = self.multi_modal_projector(tokens, tile_counts), [1] * len(tile_counts)  # [I, N, H]
        else:
            tokens, per_image = self.multi_modal_projector(tokens), tile_counts  # [T, N, H]
        return tokens.flatten(0, 1), [count * tokens.shape[1] for count in per_image]

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
        pixel_values: Tensor | None = None,
        tile_counts: Tensor | None = None,
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
            pixel_values: see `get_image_features`.
            tile_counts: see `get_image_features`.
            **kwargs: handed to the language model's own forward.
        """
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if inputs_embeds is None:
            is_image = input_ids == self.config.image_token_id  # [B, T]
            # The placeholder may lie outside the vocabulary, so it is never looked up.
            inputs_embeds = self.get_input_embeddings()(input_ids.masked_fill(is_image, 0))  # [B, T, H]
            if patch_features is not None or pixel_values is not None:
                features, tokens = self.get_image_features(
                    patch_features, patch_coords, patch_counts, patch_seeds, pixel_values, tile_counts
                )
                inputs_embeds = splice(inputs_embeds, is_image, features, tokens)
            elif past == 0 and bool(is_image.any()):
                raise ValueError("the text holds image placeholders but no image: pass what the processor gives")
        if self.config.use_prefix_lm_mask and past == 0:
            self._check_prefix_lm_mask(labels, inputs_embeds.shape[1])
            attention_mask = prefix_lm_mask(attention_mask, labels, inputs_embeds)
        self._causal.training = self.training
        self._causal.model, self._causal.lm_head = self.model, self.lm_head  # PEFT or a resize may have replaced them
        return self._causal(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            labels=labels,
            **kwargs,
        )

    def _check_prefix_lm_mask(self, labels: Tensor | None, length: int) -> None:
        config = self._causal.config
        kernel = config._attn_implementation
        if self.training and labels is None:
            raise ValueError(
                "use_prefix_lm_mask needs the labels in forward: a loss computed outside the model hides them"
            )
        if kernel not in ("sdpa", "eager"):
            raise ValueError(
                f"use_prefix_lm_mask: {kernel} takes no such mask; set attn_implementation (flash_attn) to sdpa"
            )
        window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
        if window is not None and length > window:
            raise ValueError(
                f"use_prefix_lm_mask: {length} tokens do not fit the LLM's window of {window}; lower cutoff_len"
            )

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, past_key_values: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Vision inputs go in with the prompt only; later steps read them from the cache."""
        if self.config.use_prefix_lm_mask and kwargs.get("use_cache") is False:
            raise ValueError("use_prefix_lm_mask needs use_cache: without it the answer so far would count as prompt")
        vision = {name: kwargs.pop(name, None) for name in VISION_INPUTS}
        inputs = super().prepare_inputs_for_generation(input_ids, past_key_values=past_key_values, **kwargs)
        if past_key_values is None or past_key_values.get_seq_length() == 0:
            inputs.update(vision)
        return inputs

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Beams and several answers per prompt: repeat whole images, not single rows of the packed tensors."""
        vision = {name: kwargs.pop(name, None) for name in VISION_INPUTS}
        if expand_size > 1 and any(value is not None for value in vision.values()):
            slots = (input_ids == self.config.image_token_id).sum(1).tolist()
            owned = owned_images(slots, self._tokens_per_image(vision))
            vision = take_images(vision, [image for mine in owned for _ in range(expand_size) for image in mine])
        input_ids, kwargs = super()._expand_inputs_for_generation(
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **kwargs
        )
        return input_ids, {**kwargs, **{name: value for name, value in vision.items() if value is not None}}

    def _tokens_per_image(self, vision: dict[str, Any]) -> list[int]:
        if not self._reads_images:
            counts = vision["patch_counts"].tolist()
            return [1 + self.token_selector.num_tokens(count, self.config.image_seq_length) for count in counts]
        tiles = [1] * len(vision["tile_counts"]) if self._merges_tiles else vision["tile_counts"].tolist()
        return [count * self.vision_tower.tokens_per_tile for count in tiles]


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
