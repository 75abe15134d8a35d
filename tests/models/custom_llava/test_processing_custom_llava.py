"""The processor: exact token counts from metadata, bags in, packed tensors out (features W7, W8, W9, W31, W45)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor, CustomLlavaProcessor

WriteH5 = Callable[..., Path]


def test_text_and_bags_together(processor: Any, shared: Any, write_h5: WriteH5) -> None:
    """As many placeholders as the model has vision tokens, left-padded, in order (W31, W45)."""
    bags = [[write_h5("text9", 9)], [], [write_h5("text2", 2), write_h5("text47", 47)]]
    texts = ["What is <image>?", "Hello", "<image> or the slide <image>"]
    inputs = processor(texts, bags)
    slots = (inputs["input_ids"] == processor.image_token_id).sum(1).tolist()
    assert slots == [7, 0, 3 + 7]
    assert inputs["patch_counts"].tolist() == [9, 2, 20]
    assert inputs["attention_mask"][:, -1].tolist() == [1, 1, 1]
    assert inputs["attention_mask"][1].tolist() == sorted(inputs["attention_mask"][1].tolist())
    assert shared(**inputs).logits.isfinite().all()
    one = processor("What is <image>?", bags[0])
    assert torch.equal(one["input_ids"][0], inputs["input_ids"][0][inputs["attention_mask"][0] == 1])
    assert "patch_features" not in processor("Hello")


def test_the_tokenizer_is_left_as_it_was(processor: Any, write_h5: WriteH5) -> None:
    """Trainers share it, and pad on the right."""
    processor.tokenizer.padding_side = "right"
    inputs = processor(["a <image>", "bcd efg hij klm nop qrs tuv wxyz?!#%&"], [[write_h5("side1", 1)], []])
    assert inputs["attention_mask"][0, 0] == 0
    assert processor.tokenizer.padding_side == "right"


def test_placeholders_and_bags_must_agree(processor: Any, write_h5: WriteH5) -> None:
    with pytest.raises(PathPluginsError, match=r"the text has 2 <image> but 1 images were given: '<image><image>'"):
        processor("<image><image>", [write_h5("one", 3)])


def test_save_and_load_keep_every_setting_in_the_layout_of_version_4(processor: Any, tmp_path: Path) -> None:
    own = {"expects_encoder": "uni", "grid": 17, "coords_mpp": 0.25, "compat_coords_yx": True, "seed": 7}
    changed = CustomLlavaImageProcessor(feature_dim=10, vision_feature_select_mode="none", **own)
    CustomLlavaProcessor(changed, processor.tokenizer, image_token=processor.image_token).save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["tokenizer_class"] != "TokenizersBackend"
    again = CustomLlavaProcessor.from_pretrained(tmp_path)
    assert again.image_processor.to_dict() == changed.to_dict()
    assert (again.image_token, again.image_token_id) == (processor.image_token, processor.image_token_id)
    assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()


def test_the_auto_class_finds_it_in_a_composed_directory(vlm: Path) -> None:
    found = AutoProcessor.from_pretrained(vlm)
    assert type(found) is CustomLlavaProcessor
    assert found.image_processor.tokens_of(3) == 4


def test_a_hub_id_is_read_from_the_cache(vlm: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--pathology--demo"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for path in vlm.iterdir():
        if path.suffix == ".json":
            (snapshot / path.name).write_bytes(path.read_bytes())
    found = CustomLlavaProcessor.from_pretrained("pathology/demo", cache_dir=tmp_path, local_files_only=True)
    assert found.image_processor.feature_dim == 10


def test_a_directory_without_settings_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no preprocessor_config\.json: compose it with 'pathplugins compose'"):
        CustomLlavaProcessor.from_pretrained(tmp_path)


def test_long_slides_give_the_ids_of_their_image_tokens_written_out(vlm: Path) -> None:
    processor = AutoProcessor.from_pretrained(vlm)
    texts, counts = ["<image>\nWhat <image>shows?", "invasive carcinoma"], [[2, 900], []]
    got = processor.text_inputs(texts, counts)
    written = ["<image>" * 2 + "\nWhat " + "<image>" * 900 + "shows?", texts[1]]
    written = [text.replace("<image>", processor.image_token) for text in written]
    wanted = processor.tokenizer(
        written, padding=True, padding_side="left", return_tensors="pt", add_special_tokens=False
    )
    assert torch.equal(got["input_ids"], wanted["input_ids"])
    assert torch.equal(got["attention_mask"], wanted["attention_mask"])
    short = processor.text_inputs(texts, counts, truncation=True, max_length=5)
    assert short["input_ids"].shape == (2, 5)
