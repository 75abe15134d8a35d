"""Batches: the mask is right, and who else is in a batch changes nothing for a sample (A27 to A29)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from xtuner.dataset.collate_fns import default_collate_fn
from xtuner.utils import DEFAULT_PAD_TOKEN_INDEX, IGNORE_INDEX

from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.parts import load_model, load_processor

pytestmark = pytest.mark.host

PLIP = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
GIGAPATH = {"in_chans": 10, "embed_dim": 24, "depth": 2, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
LLM = {"llm": "tiny-untrained-llama", "random_vision_seed": 0}
PALLAVA = {
    **{**LLM, "vision_model_name": "plip", "mm_projector_type": "scale_invariant"},
    "vision_config": {**PLIP, "image_size": 24, "patch_size": 8},
    "projector_config": {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40},
}
PATHGEN = {**PALLAVA, "mm_projector_type": "mlp2x_gelu", "projector_config": {}}  # every tile takes tokens
WSI = {**LLM, "vision_config": GIGAPATH, "image_seq_length": 6, "patches_per_wsi": 7}
MODELS = {"pallava": PALLAVA, "pathgen": PATHGEN, "wsi": WSI, "prefix_lm": {**WSI, "use_prefix_lm_mask": True}}
SIZES = {
    "wide.png": (161, 20),
    "tall.png": (70, 150),
    "square.png": (97, 96),
}  # (w, h): 7, 8 and 6 tiles beside the thumbnail
TALKS = [
    (["wide.png"], ["<image>\nWhat is this?", "Tumour."]),
    (["tall.png"], ["Look:\n<image>\nand answer.", "Necrosis.", "Sure?", "Yes, it is what the image shows."]),
    ([], ["What is necrosis?", "Dead tissue."]),
    (["square.png", "tall.png"], ["Compare <image> and <image>.", "They differ."]),
    ([], ["And inflammation, what is that?", "Many small nuclei, and much else besides."]),
]


@pytest.fixture(scope="module", autouse=True)
def media(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Images of three shapes, and bags of the same names."""
    folder = tmp_path_factory.mktemp("media")
    for number, (name, (w, h)) in enumerate(SIZES.items()):
        pixels = np.random.default_rng(number).integers(0, 255, (h, w, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        rows = 4 + 9 * number
        cells = np.stack([np.arange(rows) // 9, np.arange(rows) % 9], 1)  # (row, column)
        side = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
        size = {"level0_width": 51_200, "level0_height": 25_600}
        features = np.random.default_rng(rows).standard_normal((rows, 10)).astype(np.float32)
        attributes = BagAttributes(slide_id=name, encoder="none", **side, **size)
        write_bag(folder / name.replace(".png", ".h5"), [features], cells * 512, attributes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest, media: Path) -> tuple[dict[str, Any], Any, list[dict[str, Any]]]:
    """Parts, model and samples of a system."""
    parts = MODELS[request.param]
    return parts, load(parts), samples(parts, media)


@pytest.fixture(scope="module")
def pallava(media: Path) -> tuple[dict[str, Any], Any, list[dict[str, Any]]]:
    return PALLAVA, load(PALLAVA), samples(PALLAVA, media)


def load(parts: dict[str, Any]) -> Any:
    return load_model(parts, torch_dtype="float32").eval()


def samples(parts: dict[str, Any], media: Path) -> list[dict[str, Any]]:
    suffix = ".h5" if "patches_per_wsi" in parts else ".png"
    rows = []
    for number, (images, texts) in enumerate(TALKS):
        turns = [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(texts)]
        images = [image.replace(".png", suffix) for image in images]
        rows.append({"id": str(number), "conversations": turns, **({"image": images} if images else {})})
    (media / f"train{suffix}.json").write_text(json.dumps(rows))
    options = {"data_path": str(media / f"train{suffix}.json"), "image_folder": str(media)}
    dataset = PathologyDataset(parts, **options, prompt_template="llama3_chat", system="Be brief.")
    return [dataset[number] for number in range(len(dataset))]


def logits(model: Any, rows: list[dict[str, Any]], parts: dict[str, Any]) -> list[Tensor]:
    """Of the text of each row [l, vocabulary], without what stands behind it."""
    with torch.no_grad():
        output = model(**collate(rows, parts)["data"]).logits
    return [output[number, : len(row["input_ids"])] for number, row in enumerate(rows)]


def test_a28_the_mask_is_by_column(pallava: Any) -> None:
    """As XTuner's own collate function has it since its PR 567; PA-LLaVA's copy masks rows, which hides nothing."""
    parts, _, rows = pallava
    batch = collate(rows, parts)
    assert set(batch) == {"data", "data_samples"}
    assert batch["data_samples"] is None
    data = batch["data"]
    reference = default_collate_fn([{"input_ids": row["input_ids"], "labels": row["labels"]} for row in rows])["data"]
    for name in ("input_ids", "labels", "attention_mask", "position_ids"):
        assert data[name].dtype == reference[name].dtype
        assert torch.equal(data[name], reference[name]), name
    sizes = [len(row["input_ids"]) for row in rows]
    assert len(set(sizes)) == len(sizes)
    published = torch.zeros_like(data["attention_mask"])
    for size in sizes:
        published[:size] = True
    assert not torch.equal(data["attention_mask"], published)
    hidden = ~data["attention_mask"]
    assert (data["input_ids"][hidden] == DEFAULT_PAD_TOKEN_INDEX).all()
    assert (data["labels"][hidden] == IGNORE_INDEX).all()


def test_company_changes_no_logits(case: Any) -> None:
    """Alone, beside longer ones, beside images of more or fewer tiles, in any order."""
    parts, model, rows = case
    alone = [logits(model, [row], parts)[0] for row in rows]
    for order in (range(len(rows)), reversed(range(len(rows))), (1, 0), (3, 2, 1)):
        chosen = list(order)
        for number, got in zip(chosen, logits(model, [rows[n] for n in chosen], parts), strict=True):
            torch.testing.assert_close(got, alone[number], rtol=1e-5, atol=2e-5)  # of logits up to 15


def test_a29_a_mask_that_lets_a_tile_through_would_be_seen(media: Path) -> None:
    """The same comparison with the published mask of the connector, so that it is known to be able to fail."""
    parts = {**PALLAVA, "projector_config": {**PALLAVA["projector_config"], "compat_mask": True}}
    model, rows = load(parts), samples(parts, media)
    [alone], [together, _] = logits(model, rows[:1], parts), logits(model, rows[:2], parts)
    assert (alone - together).abs().max() > 0.1


def test_a29_images_are_packed_in_order(pallava: Any, media: Path) -> None:
    parts, _, rows = pallava
    data = collate(rows, parts)["data"]
    assert data["tile_counts"].tolist() == [8, 9, 7, 9]
    one_by_one = [load_processor(parts).image_processor([image]) for row in rows for image in row["images"]]
    assert torch.equal(data["pixel_values"], torch.cat([image["pixel_values"] for image in one_by_one]))
    assert [Path(image).name for row in rows for image in row["images"]][2:] == ["square.png", "tall.png"]


def test_a27_texts_alone_lose_what_they_lose_without_a_tower(case: Any) -> None:
    parts, model, rows = case
    texts = [rows[2], rows[4]]
    data = collate(texts, parts)["data"]
    plain = default_collate_fn([{"input_ids": row["input_ids"], "labels": row["labels"]} for row in texts])["data"]
    with torch.no_grad():
        wanted = model(**plain).loss.item()
        assert model(**data).loss.item() == pytest.approx(wanted, rel=1e-6)
    assert logits(model, texts, parts)[0] == pytest.approx(logits(model, [rows[2]], parts)[0], abs=1e-5)


def test_a27_the_blank_image_is_behind_the_mask(case: Any) -> None:
    parts, model, rows = case
    processor = load_processor(parts)
    texts = [rows[2], rows[4]]
    data = collate(texts, parts)["data"]
    is_image = data["input_ids"] == processor.image_token_id
    assert is_image.sum() == processor.image_processor.null_tokens > 0
    assert not data["attention_mask"][is_image].any()
    assert (data["labels"][is_image] == IGNORE_INDEX).all()
    size = len(texts[0]["input_ids"])
    assert data["input_ids"][0, :size].tolist() == texts[0]["input_ids"]
    assert data["attention_mask"].sum(1).tolist() == [len(row["input_ids"]) for row in texts]

    model.zero_grad()
    model(**data).loss.backward()
    connector = {name: w.grad for name, w in model.named_parameters() if "multi_modal_projector" in name}
    assert len(connector) > 3
    assert [name for name, grad in connector.items() if grad is None] == [], "DDP would wait for it"
    assert not any(grad.any() for grad in connector.values()), "nothing is learnt of it"
    model.zero_grad()


def test_labels_are_learnt_where_they_stand(pallava: Any) -> None:
    """What the loss is taken of: every answer, and nothing of the vision tokens."""
    parts, model, rows = pallava
    data = collate(rows, parts)["data"]
    with torch.no_grad():
        output = model(**data)
    shifted = torch.nn.functional.cross_entropy(
        output.logits[:, :-1].reshape(-1, output.logits.shape[-1]), data["labels"][:, 1:].reshape(-1)
    )
    assert output.loss.item() == pytest.approx(shifted.item(), rel=1e-5)
    decode = load_processor(parts).tokenizer.decode
    learnt = [decode([label for label in row if label != IGNORE_INDEX]) for row in data["labels"].tolist()]
    answers = ["".join(f"{answer}<|eot_id|>" for answer in texts[1::2]) for _, texts in TALKS]
    assert learnt == answers
