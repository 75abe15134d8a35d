"""Generation: vision inputs go in once, with the step that reads their placeholders; whole images are repeated.

Which step that is follows from what Transformers does, not from what its versions call it: the inputs are among the
arguments of the first step alone, and an image is given when its placeholders are among the ids that the step reads.
Axes: B samples, T text positions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import GenerationMixin, StaticCache

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.connecting import extra_tokens
from pathplugins.models.custom_llava.placeholders import owned_images, positions_of, unread_images
from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS, take_images


class VisionGeneration(GenerationMixin):
    """What generation asks of a model that reads images."""

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: Any) -> dict[str, Any]:
        """Give a step the images whose placeholders it reads.

        Args:
            input_ids: [B, T] of the prompt and the answer so far.
            **kwargs: what Transformers keeps from step to step, the vision inputs until the first is over.
        """
        if self.config.use_prefix_lm_mask:
            _check_prefix_generation(kwargs)
        vision = {name: kwargs.pop(name, None) for name in VISION_INPUTS}
        mask = kwargs.get("attention_mask")
        inputs = super().prepare_inputs_for_generation(input_ids, **kwargs)
        given = any(value is not None for value in vision.values())
        if not given or (ids := inputs.get("input_ids")) is None:
            return inputs
        slots, read = ((each == self.config.image_token_id).sum(1).tolist() for each in (input_ids, ids))
        # An assistant may guess a placeholder after the prompt; it stands for nothing.
        if len(slots) == 1 and (surplus := slots[0] - sum(self._tokens_per_image(vision))) > 0:
            inputs["input_ids"] = ids = _without_last(ids, self.config.image_token_id, surplus)
            slots, read = [slots[0] - surplus], [read[0] - surplus]
        images = unread_images(slots, read, self._tokens_per_image(vision))
        if read != slots and extra_tokens(self.multi_modal_projector):
            raise PathPluginsError(
                "a cache that another call has filled does not say how many slides it holds, whose markers are "
                "numbered; leave out the cache (the whole conversation is then read anew)"
            )
        if self.token_selector.adaptive and read != slots:
            raise PathPluginsError(
                "a cache that another call has filled does not say which placeholders an adaptive selector left empty; "
                "leave out the cache (the whole conversation is then read anew), or the assistant"
            )
        if images:
            inputs.update(take_images(vision, images))
            # For a cache of fixed size it has become a mask of four axes; selectors read it as it was, and the language
            # model makes the other itself.
            inputs["attention_mask"] = mask
        return inputs

    def _update_model_kwargs_for_generation(
        self, outputs: Any, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Drop the images that a cache now holds, and hide the placeholders that an adaptive selector left empty."""
        mask, self._still_seen = self._still_seen, None
        if mask is not None:
            kept = [name for name in ("attention_mask", "position_ids") if model_kwargs.get(name) is not None]
            mask = mask[:, : model_kwargs[kept[0]].shape[-1]]  # without the guesses of an assistant
            model_kwargs["attention_mask"] = mask
            if "position_ids" in kept:
                model_kwargs["position_ids"] = positions_of(mask)
        if model_kwargs.get("use_cache") is not False:
            model_kwargs = {name: value for name, value in model_kwargs.items() if name not in VISION_INPUTS}
        return super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Repeat whole images for beams and several answers a prompt, not single rows of the packed tensors."""
        vision = {name: kwargs.pop(name, None) for name in VISION_INPUTS}
        if expand_size > 1 and any(value is not None for value in vision.values()):
            slots = (input_ids == self.config.image_token_id).sum(1).tolist()
            owned = owned_images(slots, self._tokens_per_image(vision))
            vision = take_images(vision, [image for mine in owned for _ in range(expand_size) for image in mine])
        input_ids, kwargs = super()._expand_inputs_for_generation(
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **kwargs
        )
        return input_ids, {**kwargs, **{name: value for name, value in vision.items() if value is not None}}

    def _get_candidate_generator(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse guesses under a prefix mask: the prompt would look at what is guessed after it."""
        if self.config.use_prefix_lm_mask:
            raise PathPluginsError(
                "use_prefix_lm_mask: the prompt would attend to what an assistant or a look-up guesses; remove "
                "assistant_model and prompt_lookup_num_tokens"
            )
        return super()._get_candidate_generator(*args, **kwargs)


def _check_prefix_generation(kwargs: dict[str, Any]) -> None:
    if kwargs.get("use_cache") is False:
        raise PathPluginsError("use_prefix_lm_mask needs use_cache: without it the answer so far would count as prompt")
    if any(isinstance(value, StaticCache) for value in kwargs.values()):
        raise PathPluginsError("use_prefix_lm_mask needs a cache that grows: remove cache_implementation: static")


def _without_last(ids: Tensor, token: int, count: int) -> Tensor:
    """Return ids [1, T] with the last ``count`` of ``token`` replaced by the first entry of the vocabulary."""
    places = (ids[0] == token).nonzero()[-count:, 0]
    return ids.index_fill(1, places, 0)
