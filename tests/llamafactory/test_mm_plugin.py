"""The multimodal plugin: placeholders, batches, and what is drawn for them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def processor(toy: Any) -> Any:
    from transformers import AutoProcessor

    from pathplugins.models.compose.compose import composed
    from pathplugins.models.compose.spec import ComposeSpec

    options = {"vision_tower": str(toy.tower), "vision_config": json.loads(toy.model_keys["vision_config"])}
    made = composed(ComposeSpec(llm=str(toy.llm), image_seq_length=12, patches_per_wsi=24, **options))
    return AutoProcessor.from_pretrained(made)


def test_a_picture_is_no_bag(processor: Any, tmp_path: Path) -> None:
    from llamafactory.data.template import TEMPLATES
    from PIL import Image

    Image.new("RGB", (96, 64)).save(tmp_path / "slide.png")
    plugin = TEMPLATES["custom_vqa_llama3"].mm_plugin
    turns = [{"role": "user", "content": "<image> What?"}, {"role": "assistant", "content": "This."}]
    with pytest.raises(ValueError, match=r"slide\.png.*HDF5"):
        plugin.process_messages(turns, [str(tmp_path / "slide.png")], [], [], processor)
    with pytest.raises(ValueError, match="H5 feature bags, not at pictures"):
        plugin.get_mm_inputs([Image.new("RGB", (96, 64))], [], [], [1], [0], [0], [[1]], processor)


def test_several_bags_in_a_conversation(processor: Any, toy: Any) -> None:
    from llamafactory.data.template import TEMPLATES

    from pathplugins.data.bags import inspect_bag

    bags = [str(toy.data / "bags" / f"few{i}.h5") for i in range(3)]
    turns = [
        {"role": "user", "content": "<image> or <image>?"},
        {"role": "assistant", "content": "The first."},
        {"role": "user", "content": "And <image>?"},
        {"role": "assistant", "content": "No."},
    ]
    plugin = TEMPLATES["custom_vqa_llama3"].mm_plugin
    said = plugin.process_messages(turns, bags, [], [], processor)
    counts = [processor.num_image_tokens(bag) for bag in bags]
    token = processor.image_token
    assert said[0]["content"] == f"{token * counts[0]} or {token * counts[1]}?"
    assert said[2]["content"] == f"And {token * counts[2]}?"
    assert turns[0]["content"] == "<image> or <image>?"
    inputs = plugin.get_mm_inputs(bags, [], [], [3], [0], [0], [[1, 2, 3]], processor)
    assert inputs["patch_counts"].tolist() == [min(24, inspect_bag(bag).rows) for bag in bags]


@pytest.mark.parametrize("template", ["custom_vqa_llama3", "pathosyn_qwen"])
def test_bags_of_a_sample_share_its_rows(processor: Any, toy: Any, template: str) -> None:
    """Counted and read alike, in a batch with another sample, in training and in evaluation."""
    import copy

    from llamafactory.data.template import TEMPLATES

    from pathplugins.llamafactory.mm_plugin import IMAGES

    bags = [str(toy.data / "bags" / f"few{i}.h5") for i in range(3)]
    reader = copy.copy(processor)
    reader.image_processor = copy.copy(processor.image_processor)
    reader.image_processor.patches_per_case = 10
    plugin = TEMPLATES[template].mm_plugin
    turns = [{"role": "user", "content": "<image><image>?"}, {"role": "assistant", "content": "The first."}]
    said = plugin.process_messages(turns, bags[:2], [], [], reader)
    counts = [1 + 5, 1 + 5]  # the slide's own token, and half of the rows
    got = said[0][IMAGES][1] if template == "pathosyn_qwen" else said[0]["content"].count(reader.image_token)
    assert got == (counts if template == "pathosyn_qwen" else sum(counts))
    for epoch in (None, 1.0):
        reader.sampling_epoch = epoch
        inputs = plugin.get_mm_inputs(bags, [], [], [2, 1], [0, 0], [0, 0], [[1, 2], [3]], reader)
        assert inputs["patch_counts"].tolist()[:2] == [5, 5]


def test_each_epoch_draws_other_patches_and_evaluation_always_the_same(processor: Any, toy: Any) -> None:
    import copy

    from llamafactory.data.template import TEMPLATES
    from transformers import TrainerControl, TrainerState

    from pathplugins.llamafactory.epoch_clock import EpochClock

    bag = str(toy.bag("large", 1, rows=61))
    plugin, clock, reader = TEMPLATES["custom_vqa_llama3"].mm_plugin, EpochClock(), copy.copy(processor)

    def drawn(given: Any, epoch: float = 0.0, ids: tuple[int, ...] = (1, 2)) -> list[list[int]]:
        clock.on_epoch_begin(SimpleNamespace(), TrainerState(epoch=epoch), TrainerControl())
        return plugin.get_mm_inputs([bag], [], [], [1], [0], [0], [list(ids)], given)["patch_coords"].tolist()

    reader.sampling_epoch = clock.epoch
    assert len(drawn(reader)) == 24
    assert drawn(reader, 1.0) == drawn(reader, 1.37) == drawn(reader, 1.9999)
    assert drawn(reader, 1.0) != drawn(reader, 1.99999999)
    assert drawn(reader, ids=(1, 2)) != drawn(reader, ids=(1, 3)), "another question about the same slide"
    assert drawn(processor, 0.0) == drawn(processor, 1.0)
    reader.sampling_by_text = False
    assert drawn(reader, 1.0, ids=(1, 2)) == drawn(reader, 1.0, ids=(1, 3)), "two answers of one preference"
    assert drawn(reader, 1.0) != drawn(reader, 2.0)
