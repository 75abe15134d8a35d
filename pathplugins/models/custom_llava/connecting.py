"""What a connector makes of the tokens that were chosen: how many there are then, and which image of a sample is which.

Axes: I images of a batch, K tokens of one, C tower width, H width of the language model, [B, L] token ids of the text.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.packed_rows import samples_of
from pathplugins.models.custom_llava.placeholders import owned_images
from pathplugins.models.selectors.base import Selection


def tokens_after(connector: nn.Module, chosen: int) -> int:
    """Return the vision tokens of an image of which ``chosen`` reach the connector."""
    fixed = fixed_tokens(connector)
    return (chosen if fixed is None else fixed) + extra_tokens(connector)


def fixed_tokens(connector: nn.Module) -> int | None:
    """Return how many tokens a connector gives for every image, None where it gives one for each it is given."""
    return getattr(connector, "fixed_tokens", None)


def extra_tokens(connector: nn.Module) -> int:
    """Return the tokens that a connector adds to those of every image."""
    return getattr(connector, "extra_tokens", 0)


def connect(connector: nn.Module, chosen: Selection, places: Sequence[int] | None) -> Tensor:
    """Return chosen tokens in the language model's space: [sum K, C] to [sum of `tokens_after`, H].

    Args:
        connector: one that does not look across the tiles of an image.
        chosen: tokens of all images.
        places: of every image within its sample, from 0; the first of one each when None.
    """
    if not getattr(connector, "per_image", False):
        return connector(chosen.tokens)
    return connector(chosen.tokens, chosen.counts, [0] * len(chosen.counts) if places is None else [*places])


def image_places(
    input_ids: Tensor | None, attention_mask: Tensor | None, images: Sequence[int], image_token_id: int
) -> list[int]:
    """Return the place of every image of a batch within its sample: 0 for the first, 1 for the second.

    Args:
        input_ids: [B, L]; None where images stand alone, each the first of a sample.
        attention_mask: [B, L], or the numbers of the samples where rows hold several (`packed_rows`).
        images: placeholders of each image.
        image_token_id: what stands for one vision token.
    """
    if input_ids is None:
        return [0] * len(images)
    slots = [ids.count(image_token_id) for ids, _ in samples_of(input_ids, attention_mask)]
    return [place for owned in owned_images(slots, [*images]) for place in range(len(owned))]


def check_connector(connector: nn.Module, selector: nn.Module) -> None:
    """Refuse a connector of a fixed number of tokens with a selector that leaves placeholders empty."""
    if selector.adaptive and fixed_tokens(connector) is not None:
        raise PathPluginsError(
            f"{type(connector).__name__} gives {fixed_tokens(connector)} tokens whatever it is given, so there is "
            "nothing for an adaptive selector to leave empty; set vision_feature_select_mode to none"
        )
