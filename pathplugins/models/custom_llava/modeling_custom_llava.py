"""Model `custom_llava`: image features spliced into the embeddings of a causal language model.

Axes: B samples, T text positions (or tiles of all images, where pixels are meant), I images in the batch, N patches of
one bag or tokens of one tile, D patch feature width, C tower width, H width of the language model, S tile side.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.custom_llava.connecting import check_connector, connect, image_places, tokens_after
from pathplugins.models.custom_llava.frozen_layers import checkpoint_frozen_layers_too
from pathplugins.models.custom_llava.generation import VisionGeneration
from pathplugins.models.custom_llava.joint_lora import add_joint_lora
from pathplugins.models.custom_llava.packed_rows import block_diagonal, check_packed, one_row, sample_numbers
from pathplugins.models.custom_llava.placeholders import (
    hidden,
    pack_to_left,
    positions_of,
    splice,
    unused,
)
from pathplugins.models.custom_llava.prefix_lm import check_prefix_lm_mask, prefix_lm_mask
from pathplugins.models.custom_llava.untied import note_untied
from pathplugins.models.custom_llava.vision_inputs import FILE_INPUTS, VISION_INPUTS
from pathplugins.models.custom_llava.vision_tokens import (
    bag_candidates,
    check_budget,
    check_looking,
    image_candidates,
    question_embeddings,
)
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.selectors.base import PackedCandidates, Selection
from pathplugins.models.towers import TOWERS


class CustomLlavaForConditionalGeneration(PreTrainedModel, VisionGeneration, GenerationMixin):
    """Slide or image question answering with any causal LM of Transformers.

    The language model keeps its own key names (``model.*``, ``lm_head.*``), which is what lets a checkpoint be composed
    from an existing one without copying its shards. Its own ``forward`` runs, so soft-capped or scaled logits and its
    loss are the ones it was trained with.
    """

    config_class = CustomLlavaConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = ["past_key_values", "cache"]  # noqa: RUF012 - the second is its name from 5.24 on
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flash_attn_2 = True  # the name up to Transformers 4.53
    _supports_cache_class = True

    def __init__(self, config: CustomLlavaConfig) -> None:
        super().__init__(config)
        causal = AutoModelForCausalLM.from_config(config.text_config, torch_dtype=torch.get_default_dtype())
        config.text_config = causal.config  # from_config copied it, and a resize must reach the LLM's own loss
        self.model, self.lm_head = causal.model, causal.lm_head
        if config.joint_lora:
            add_joint_lora(self.model, config.joint_lora)
        # Kept outside the module tree: its children are ours, its forward is what the LLM's authors wrote.
        self.__dict__["_causal"] = causal
        self._cache_name = "cache" if "cache" in inspect.signature(causal.forward).parameters else "past_key_values"
        self._supports_static_cache = getattr(causal, "_supports_static_cache", False)  # Transformers 4 asks
        embedding = next(name for name, part in causal.named_modules() if part is causal.get_input_embeddings())
        tied = config.text_config.tie_word_embeddings
        self._tied_weights_keys = {"lm_head.weight": f"{embedding}.weight"} if tied else None

        vision = dict(config.vision_config)
        self.vision_tower = TOWERS.get(vision.pop("model_type")).build(vision)
        projector = dict(config.projector_config)
        width = config.text_config.hidden_size
        self.multi_modal_projector = CONNECTORS.get(projector.pop("type"))(
            self.vision_tower.hidden_size, width, **projector
        )
        self._reads_images = self.vision_tower.reads == "images"
        self._merges_tiles = getattr(self.multi_modal_projector, "across_tiles", False)
        self.token_selector = SELECTORS.get(config.vision_feature_select_mode)(
            width if self._merges_tiles else self.vision_tower.hidden_size, width, **config.selector_config
        )
        check_looking(self.vision_tower, self.token_selector)
        check_budget(self.vision_tower, config.image_seq_length)
        check_connector(self.multi_modal_projector, self.token_selector)
        whole = [type(part).__name__ for part in (self.vision_tower, self.multi_modal_projector)]
        self._no_split_modules = [*(causal._no_split_modules or []), *whole]
        for part in (self.vision_tower, self.multi_modal_projector, self.token_selector):
            # Transformers 5.24 asks no module for first weights whose own are all loaded, one that owns none among
            # them, and what a part restores besides would stay lost: each owns something that no checkpoint holds.
            part.register_buffer("asked_when_loaded", torch.zeros(1), persistent=False)
        self.ablate_vision = False
        """While True the projected vision tokens are zero: how much of the loss does the picture explain?"""
        self._still_seen: Tensor | None = None
        """Attention mask of the last prompt where an adaptive selector left placeholders empty, for generation."""
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.LayerNorm):  # not every language model has one, so not every one knows it
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif module in (self.vision_tower, self.multi_modal_projector, self.token_selector):
            getattr(module, "reset_parameters", lambda: None)()  # bare parameters; the layers inside come one by one
        else:
            self._causal._init_weights(module)

    def get_input_embeddings(self) -> nn.Module:
        """Return the language model's token embedding."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """Return the language model's head."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the head."""
        self.lm_head = new_embeddings

    def get_decoder(self) -> nn.Module:
        """Return the language model without its head."""
        return self.model

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save as Transformers does; embedding and head that were trained apart are two from here on."""
        note_untied(self)
        super().save_pretrained(*args, **kwargs)

    def _set_gradient_checkpointing(
        self, enable: bool = True, gradient_checkpointing_func: Callable[..., Any] = checkpoint, **kwargs: Any
    ) -> None:
        super()._set_gradient_checkpointing(enable, checkpoint_frozen_layers_too(gradient_checkpointing_func), **kwargs)

    def get_image_features(
        self,
        patch_features: Tensor | None = None,
        patch_coords: Tensor | None = None,
        patch_counts: Tensor | None = None,
        patch_seeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        tile_counts: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, list[int]]:
        """Return vision tokens in the language model's space, of bags or of images, whichever the tower reads.

        Args:
            patch_features: [sum N, D] patch features of all bags.
            patch_coords: [sum N, 2] int64 (x, y) pixels at the tower's resolution.
            patch_counts: [I] int64 patches per bag.
            patch_seeds: [I] int64, what a random selector draws with; zeros when None.
            pixel_values: [T, 3, S, S] tiles of all images, the thumbnail of each first.
            tile_counts: [I] int64 tiles per image, thumbnail included.
            input_ids: [B, T] of the text, for a selector that looks at the question.
            attention_mask: [B, T] likewise.

        Returns:
            [sum of tokens, H] and the number of tokens per image.
        """
        bags, images = (patch_features, patch_coords, patch_counts, patch_seeds), (pixel_values, tile_counts)
        vision = dict(zip(FILE_INPUTS, (*bags, *images), strict=True))
        chosen = self.select_image_tokens(input_ids, attention_mask, **vision)
        places = None
        if getattr(self.multi_modal_projector, "per_image", False):
            places = image_places(input_ids, attention_mask, self._tokens_per_image(vision), self.config.image_token_id)
        return self.project(chosen, places)

    def project(self, chosen: Selection, places: list[int] | None = None) -> tuple[Tensor, list[int]]:
        """Return chosen tokens in the language model's space, [sum of tokens, H], and their number per image.

        Args:
            chosen: tokens of all images.
            places: of every image within its sample, see `connecting.connect`.
        """
        features = chosen.tokens if self._merges_tiles else connect(self.multi_modal_projector, chosen, places)
        return (features * 0 if self.ablate_vision else features), self.connected(chosen.counts)

    def connected(self, counts: list[int]) -> list[int]:
        """Return the vision tokens of every image of which so many reach the connector."""
        return counts if self._merges_tiles else [tokens_after(self.multi_modal_projector, count) for count in counts]

    def select_image_tokens(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **vision: Any
    ) -> Selection:
        """Return what the token selector keeps: tokens, their rows and the scores it ranked them by.

        Args:
            input_ids: see `get_image_features`.
            attention_mask: see `get_image_features`.
            **vision: the vision inputs of `get_image_features`.

        Returns:
            Tokens of the tower's width, or the language model's where the connector merges an image's tiles. Rows are
            counted within each slide, or within each image over the patch tokens of all its tiles.
        """
        vision = {name: vision.get(name) for name in FILE_INPUTS}
        if vision["pixel_values" if self._reads_images else "patch_features"] is None:
            wanted, got = ("pixel_values", "a bag") if self._reads_images else ("patch_features", "an image")
            raise PathPluginsError(
                f"this model was given {got}, its vision tower takes {wanted}; use the model's processor"
            )
        prompt = None
        if self.token_selector.needs_prompt:
            placeholders, config = self._tokens_per_image(vision), self.config
            marks = {"image_token_id": config.image_token_id, "marks": config.question_marks}
            embed = self.get_input_embeddings()
            prompt = question_embeddings(embed, input_ids, attention_mask, placeholders, **marks)
        if self._reads_images:
            merge = self.multi_modal_projector if self._merges_tiles else None
            found = image_candidates(self.vision_tower, self.token_selector, vision, merge)
        else:
            found = bag_candidates(self.vision_tower, self.token_selector, vision)
        seeds = vision["patch_seeds"]
        seeds = [0] * len(found["counts"]) if seeds is None else seeds.tolist()
        return self.token_selector(PackedCandidates(seeds=seeds, prompt=prompt, **found), self.config.image_seq_length)

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
        vision_tokens: Tensor | None = None,
        vision_counts: Tensor | None = None,
        cache: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Return loss and logits of the language model; the vision inputs are those of `get_image_features`.

        Args:
            input_ids: [B, T]; as many ``image_token_id`` as there are vision tokens.
            attention_mask: [B, T], 1 where there is a token.
            position_ids: [B, T]; a row whose positions begin at 0 more than once holds as many samples (`packed_rows`).
            past_key_values: cache of the language model, by its name before Transformers 5.24.
            inputs_embeds: [B, T, H] instead of ``input_ids``.
            labels: [B, T], -100 where no loss is taken.
            patch_features: see `get_image_features`.
            patch_coords: see `get_image_features`.
            patch_counts: see `get_image_features`.
            patch_seeds: see `get_image_features`.
            pixel_values: see `get_image_features`.
            tile_counts: see `get_image_features`.
            vision_tokens: [sum of tokens, H] that `get_image_features` returned before, instead of all these.
            vision_counts: [I] int64, the number of them per image.
            cache: the cache by its later name.
            **kwargs: handed to the language model's own forward.
        """
        cache = past_key_values if cache is None else cache
        past = 0 if cache is None else cache.get_seq_length()
        surplus, numbers = None, None if past else sample_numbers(position_ids, attention_mask)
        if numbers is not None:
            check_packed(self._causal.config, numbers)
            attention_mask = numbers
        if inputs_embeds is None:
            bags, images = (patch_features, patch_coords, patch_counts, patch_seeds), (pixel_values, tile_counts)
            vision = dict(zip(VISION_INPUTS, (*bags, *images, vision_tokens, vision_counts), strict=True))
            inputs_embeds, surplus = self._embed(input_ids, attention_mask, vision, prompt=past == 0)
        if surplus is not None:
            attention_mask = hidden(attention_mask, surplus)
            position_ids = positions_of(attention_mask)
        # Kept here, as mixed precision makes a new output of the one that is returned.
        self._still_seen = attention_mask if surplus is not None else None
        if surplus is not None and self.training and labels is not None:
            inputs_embeds, attention_mask, labels = pack_to_left(inputs_embeds, attention_mask, labels)
            position_ids = positions_of(attention_mask)
        if self.config.use_prefix_lm_mask and past == 0:
            check_prefix_lm_mask(self._causal.config, labels, inputs_embeds.shape[1], training=self.training)
            attention_mask = prefix_lm_mask(attention_mask, labels, inputs_embeds)
        elif numbers is not None and self._causal.config._attn_implementation.startswith("flash_attention"):
            inputs_embeds, position_ids, labels = one_row(inputs_embeds, attention_mask, position_ids, labels)
            attention_mask = None
        elif numbers is not None:
            attention_mask = block_diagonal(attention_mask, inputs_embeds)
        self._causal.training = self.training
        self._causal.model, self._causal.lm_head = self.model, self.lm_head  # PEFT or a resize may have replaced them
        return self._causal(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            labels=labels,
            **({} if cache is None else {self._cache_name: cache}),
            **kwargs,
        )

    def _embed(
        self, input_ids: Tensor, attention_mask: Tensor | None, vision: dict[str, Any], *, prompt: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return embeddings [B, T, H] of text and images, and the placeholders [B, T] an adaptive selector left empty.

        ``prompt`` says that the ids are a prompt, whose placeholders need images; None where no selector is adaptive.
        """
        is_image = input_ids == self.config.image_token_id  # [B, T]
        # The placeholder may lie outside the vocabulary, so it is never looked up.
        embeds = self.get_input_embeddings()(input_ids.masked_fill(is_image, 0))  # [B, T, H]
        known, counts = vision["vision_tokens"], vision["vision_counts"]
        if known is None and vision["patch_features"] is None and vision["pixel_values"] is None:
            if prompt and bool(is_image.any()):
                raise PathPluginsError("the text holds image placeholders but no image: pass what the processor gives")
            return embeds, None
        if known is None:
            files = {name: vision[name] for name in FILE_INPUTS}
            features, tokens = self.get_image_features(**files, input_ids=input_ids, attention_mask=attention_mask)
        else:
            features, tokens = (known * 0 if self.ablate_vision else known), counts.tolist()
        surplus = None
        if self.token_selector.adaptive:
            surplus = unused(is_image, self._tokens_per_image(vision), tokens)  # [B, T]
            is_image = is_image & ~surplus
        return splice(embeds, is_image, features, tokens), surplus

    def _tokens_per_image(self, vision: dict[str, Any]) -> list[int]:
        """Return the placeholders of each image: its vision tokens, or the most an adaptive selector may keep."""
        if (counts := vision.get("vision_counts")) is not None:
            return counts.tolist()
        if self._reads_images:
            tiles = [1] * len(vision["tile_counts"]) if self._merges_tiles else vision["tile_counts"].tolist()
            rows, cls = [count * self.vision_tower.tokens_per_tile for count in tiles], 0
        else:
            rows, cls = vision["patch_counts"].tolist(), int(getattr(self.vision_tower, "slide_token", True))
        budget = self.config.image_seq_length
        return self.connected([cls + self.token_selector.num_tokens(count, budget) for count in rows])
