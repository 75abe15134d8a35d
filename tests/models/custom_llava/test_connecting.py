"""Connectors that see all tokens of an image: how many come out, and which image of its sample each is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoProcessor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.connecting import check_connector, image_places
from pathplugins.models.custom_llava.opened_image import OpenedImage
from pathplugins.models.selectors import SELECTORS

Make = Callable[..., Any]
IMAGE = 9


class Marking(nn.Module):
    """One marker, the image's place in its sample, then the tokens mapped; or two means in their place."""

    per_image: ClassVar[bool] = True

    def __init__(self, in_features: int, out_features: int, *, means: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.fixed_tokens, self.extra_tokens = 2 if means else None, 1

    def forward(self, tokens: Tensor, counts: list[int], places: list[int]) -> Tensor:
        mapped = self.linear(tokens.float()).split(counts)
        if self.fixed_tokens:
            mapped = [torch.stack([each.mean(0), each[0]]) for each in mapped]
        marks = [torch.full_like(each[:1], float(place)) for each, place in zip(mapped, places, strict=True)]
        return torch.cat([part for pair in zip(marks, mapped, strict=True) for part in pair])


@pytest.fixture(autouse=True, scope="module")
def _marking() -> Iterator[None]:
    CONNECTORS.register("marking", Marking)
    yield
    del CONNECTORS._targets["marking"]


def make(make_vlm: Make, *, width: int = 10, **options: Any) -> Path:
    return make_vlm(
        vision_model_name="features",
        vision_config={"feature_dim": width},
        random_vision_seed=None,
        mm_projector_type="marking",
        **{"projector_config": {}, **options},
    )


def test_places_start_anew_with_every_sample() -> None:
    ids = torch.tensor([[1, IMAGE, IMAGE, 2, IMAGE], [1, 2, 3, IMAGE, 4], [IMAGE] * 4 + [1]])
    assert image_places(ids, None, [2, 1, 1, 3, 1], IMAGE) == [0, 1, 0, 0, 1]
    packed = torch.tensor([[1, 1, 1, 2, 2]])
    assert image_places(torch.tensor([[IMAGE, IMAGE, 1, IMAGE, 2]]), packed, [1, 1, 1], IMAGE) == [0, 1, 0]
    assert image_places(None, None, [4, 4], IMAGE) == [0, 0]


@pytest.mark.parametrize("means", [False, True])
def test_a_model_counts_as_its_processor_and_marks_by_sample(
    means: bool, make_vlm: Make, load: Make, write_h5: Make
) -> None:
    folder = make(make_vlm, projector_config={"means": means}, vision_feature_select_mode="none")
    model, processor = load(folder), AutoProcessor.from_pretrained(folder)
    bags = [[write_h5("a", 3), write_h5("b", 5)], [write_h5("c", 4)]]
    batch = processor(["<image>one<image>two", "<image>three"], bags)
    rows = [2, 2, 2] if means else [3, 5, 4]
    assert [processor.num_image_tokens(bag) for each in bags for bag in each] == [1 + n for n in rows]
    features, counts = model.get_image_features(
        **{name: batch[name] for name in batch if name not in ("input_ids", "attention_mask")},
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
    )
    assert counts == [1 + n for n in rows]
    marks = [each[0, 0].item() for each in features.split(counts)]
    assert marks == [0.0, 1.0, 0.0]
    assert model(**batch).logits.isfinite().all()
    opened = OpenedImage(model, processor, *bags[0])
    torch.testing.assert_close(opened._vision["vision_tokens"], torch.cat(features.split(counts)[:2]))


def test_an_adaptive_selector_has_nothing_to_leave_empty(make_vlm: Make) -> None:
    connector = Marking(3, 4, means=True)
    with pytest.raises(PathPluginsError, match="Marking gives 2 tokens whatever it is given"):
        check_connector(connector, SELECTORS.get("prumerge_adaptive")(3, 4))
    check_connector(Marking(3, 4), SELECTORS.get("prumerge_adaptive")(3, 4))
