"""PA-LLaVA by its shipped files: both stages, export, an answer; drawn images, a tiny PLIP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.host

STEPS = 24


@pytest.fixture(scope="module")
def images(toy: Any) -> dict[str, Any]:
    """Overrides: a PLIP of 196 tokens as it is published, only narrow, and captions of drawn images."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    from pathplugins.data.formats.drawn import QUESTION, caption, read_drawn
    from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    root = toy.root / "pallava"
    records, _ = read_drawn(root / "images", images=16)
    lines = []
    for record in records:
        turns = [
            {"from": "human", "value": f"<image>\n{QUESTION}"},
            {"from": "gpt", "value": record.conversations[1].text},
        ]
        lines.append({"id": record.id, "image": f"{record.id}.png", "conversations": turns})
    lines.append({"id": "text", "conversations": [{"from": "human", "value": "And?"}, {"from": "gpt", "value": "No."}]})
    for name in ("alignment", "instruct"):
        (root / f"{name}.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (root / "dataset_info.json").write_text(
        (Path(__file__).parents[2] / "llamafactory_configs/dataset_info.json").read_text()
    )

    torch.manual_seed(0)
    size = {
        "hidden_size": 24,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "patch_size": 16,
    }
    whole = CLIPVisionModel(CLIPVisionConfig(**size))
    whole = getattr(whole, "vision_model", whole)
    (root / "plip").mkdir()
    weights = {
        f"vision_model.{name}".replace("post_layernorm", "post_layrnorm"): w for name, w in whole.state_dict().items()
    }
    torch.save(weights, root / "plip" / "plip_80w_196token.bin")
    (root / "plip" / "config.json").write_text(json.dumps(size))
    texts = [PATCH_SYSTEM_PROMPT, QUESTION, *(caption(record.meta["kind"]) for record in records)]
    build_tiny_llm(root / "llm", texts * 4, vocabulary=640, hidden_size=64, tied=False)
    return {
        "llm_name_or_path": root / "llm",
        "vision_tower": root / "plip",
        "projector_config": '{"num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":48,"dropout":0.0}',
    }


@pytest.fixture(scope="module")
def pace(toy: Any) -> dict[str, Any]:
    root = toy.root / "pallava"
    return {
        "dataset_dir": root,
        "media_dir": root / "images",
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "logging_steps": 1,
        "save_steps": STEPS,
        "max_steps": STEPS,
        "learning_rate": 2e-3,
        "lora_rank": 8,
        "lora_dropout": 0.0,
        "fp16": False,
        "plot_loss": False,
    }


@pytest.fixture(scope="module")
def aligned(run: Callable[..., Any], toy: Any, images: dict[str, Any], pace: dict[str, Any]) -> Any:
    return run("train", "pallava_alignment.yaml", {**images, **pace, "output_dir": toy.root / "pallava" / "aligned"})


@pytest.fixture(scope="module")
def tuned(run: Callable[..., Any], toy: Any, images: dict[str, Any], pace: dict[str, Any], aligned: Any) -> Any:
    own = {"adapter_name_or_path": aligned.out, "output_dir": toy.root / "pallava" / "tuned"}
    return run("train", "pallava_instruction.yaml", {**images, **pace, **own})


def test_stage_1_learns_and_trains_lora_and_the_whole_connector(aligned: Any) -> None:
    losses = list(aligned.logged("loss").values())
    assert len(losses) == STEPS
    assert sum(losses[-4:]) < sum(losses[:4]) / 2
    keys = load_file(aligned.out / "adapter_model.safetensors").keys()
    assert any("lora_A" in key for key in keys)
    assert not any("vision_tower" in key for key in keys)
    published = torch.load(aligned.out / "mm_projector.bin", weights_only=True)
    assert len([key for key in keys if "multi_modal_projector" in key]) == len(published)
    assert "projector.model.bert.encoder.layer.1.crossattention.self.query.weight" in published


def test_stage_2_goes_on_where_stage_1_ended(aligned: Any, tuned: Any) -> None:
    first, before = tuned.logged("loss")[1], aligned.logged("loss")
    assert first < before[1] / 10
    assert first < 2 * max(before[step] for step in range(STEPS - 3, STEPS + 1))  # each is of other samples


def test_a20_the_connector_learns_at_half_the_rate(tuned: Any, aligned: Any) -> None:
    groups = torch.load(tuned.out / f"checkpoint-{STEPS}" / "optimizer.pt", weights_only=False)["param_groups"]
    rates = sorted({group["initial_lr"] for group in groups if group["params"]})
    assert rates == pytest.approx([1e-3, 2e-3])
    sizes = {group["initial_lr"]: len(group["params"]) for group in groups if group["params"]}
    published = torch.load(aligned.out / "mm_projector.bin", weights_only=True)
    assert sum(len(g["params"]) for g in groups if g["initial_lr"] == min(sizes)) == len(published)


def test_export_and_an_answer(run: Callable[..., Any], toy: Any, images: dict[str, Any], tuned: Any) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model
    from pathplugins.data.formats.drawn import QUESTION, read_drawn

    merged = toy.root / "pallava" / "merged"
    run("export", "pallava_export.yaml", {**images, "adapter_name_or_path": tuned.out, "export_dir": merged})
    model = load_model(merged, device="cpu")
    records, _ = read_drawn(toy.root / "pallava" / "images", images=2)
    assert ask(model, QUESTION, image=records[0].images[0], max_new_tokens=16).startswith("The image shows")


def test_an_adaptive_selector(
    run: Callable[..., Any], toy: Any, images: dict[str, Any], pace: dict[str, Any], tmp_path: Path
) -> None:
    """The text has room for 48 tokens an image; each image fills as much of it as it wants."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    own = {"vision_feature_select_mode": "prumerge_adaptive", "image_seq_length": 48, "output_dir": tmp_path}
    own |= {"selector_config": '{"supplement":false}'}
    own |= {"max_steps": 6, "save_steps": 6, "per_device_train_batch_size": 3}
    losses = list(run("train", "pallava_alignment.yaml", {**images, **pace, **own}).logged("loss").values())
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    base = json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"]
    model, processor = AutoModelForImageTextToText.from_pretrained(base).eval(), AutoProcessor.from_pretrained(base)
    files = [[str(path)] for path in sorted(pace["media_dir"].glob("*.png"))[:4]]
    inputs = processor(text=["<image>\nWhat?<|eot_id|>"] * 4, images=files)
    assert (inputs["input_ids"] == model.config.image_token_id).sum(1).tolist() == [48] * 4
    with torch.no_grad():
        counts = model.select_image_tokens(**inputs).counts
    assert max(counts) <= 48 > min(counts) >= 2


def test_bad_images_are_reported_before_training(
    refused: Callable[..., str], images: dict[str, Any], pace: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "cut.png").write_bytes((pace["media_dir"] / "tumour_0_1.png").read_bytes()[:300])
    ask = {"from": "human", "value": "<image>\nWhat?"}
    rows = [
        {"image": "absent.png", "conversations": [ask, {"from": "gpt", "value": "This."}]},
        {"image": "cut.png", "conversations": [ask, {"from": "gpt", "value": "This."}]},
        {"image": "cut.png", "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "This."}]},
        {"image": ["cut.png", "cut.png"], "conversations": [ask, {"from": "gpt", "value": "This."}]},
        {"image": "cut.png", "conversations": [ask, {"from": "gpt", "value": " "}]},
    ]
    (tmp_path / "bad.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"bad": {"file_name": "bad.jsonl", "formatting": "llava"}}))
    own = {"dataset": "bad", "dataset_dir": tmp_path, "media_dir": tmp_path, "output_dir": tmp_path / "out"}
    said = refused("pallava_alignment.yaml", {**images, **pace, **own})
    for row, reason in enumerate(
        ("missing file", "unreadable file", "placeholder count", "placeholder count", "empty answer"), start=1
    ):
        assert f"bad.jsonl:{row}: {reason}" in said
    assert len((tmp_path / "out" / "bad_samples.jsonl").read_text().splitlines()) >= 5
    assert not list((tmp_path / "out").glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mm_projector_type": "scale_invarient"}, "Did you mean 'scale_invariant'"),
        ({"image_aspect_ratio": "crop"}, "image_aspect_ratio must be anyres, pad or square"),
        ({"patches_per_wsi": 8}, "patches_per_wsi: for feature bags, and plip reads images"),
        ({"vision_mode": "wsi"}, "vision_mode is wsi, which plip does not read"),
        ({"projector_config": {"num_layers": 2}}, r"scale_invariant has no option \['num_layers'\]"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_key_is_named(images: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    parts = {key: str(value) for key, value in images.items()}
    with pytest.raises(ValueError, match=message):
        PathModelArguments(model_name_or_path="custom_llava", vision_model_name="plip", **{**parts, **changes})
