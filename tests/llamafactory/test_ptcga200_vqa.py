"""PTCGA200's encoder as the eye of a model, by the shipped file: two processes, ZeRO-3, an answer (features T36)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
import torch
import yaml
from safetensors.torch import load_file

from pathplugins.encoders.write_folder import write_encoder_folder
from pathplugins.published.encoders import CARDS

pytestmark = pytest.mark.host
timm = pytest.importorskip("timm")

SMALL: dict[str, Any] = {"img_size": 32, "embed_dim": 48, "depth": 3, "num_heads": 3, "patch_size": 8}
LAUNCH = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> SimpleNamespace:
    """Drawn patches under the name of the shipped data set, a small ViT as it is imported, a tiny Vicuna."""
    from pathplugins.data.formats.drawn import QUESTION, caption, read_drawn

    del environment
    root = tmp_path_factory.mktemp("ptcga200")
    records, _ = read_drawn(root / "images", images=16)
    said = {record.id: caption(record.meta["kind"]) for record in records}
    rows = [
        {
            "id": name,
            "conversations": [{"from": "human", "value": f"<image>\n{QUESTION}"}, {"from": "gpt", "value": text}],
            "images": [f"images/{name}.png"],
        }
        for name, text in said.items()
    ]
    (root / "ptcga200.json").write_text(json.dumps(rows))
    columns = {"messages": "conversations", "images": "images"}
    entry = {"file_name": "ptcga200.json", "formatting": "sharegpt", "columns": columns}
    (root / "dataset_info.json").write_text(json.dumps({"ptcga200": entry}))
    torch.manual_seed(3)
    model = timm.create_model("vit_large_patch16_224", num_classes=0, init_values=0.5, **SMALL)
    mae = next(card for card in CARDS if card.name == "ptcga200-mae")
    write_encoder_folder(
        root / "tower",
        architecture=mae.architecture,
        model_args={"init_values": 0.5, **SMALL},
        state=model.state_dict(),
        preprocess=replace(mae.preprocess, resize_px=32, crop_px=32),
        origin={"encoder": mae.name},
    )
    llm = reference.tiny_vicuna(root / "llm", [QUESTION, *said.values()] * 4)
    return SimpleNamespace(root=root, llm=llm, model=model, question=QUESTION, said=said, records=records, entry=entry)


@pytest.fixture(scope="module")
def trained(run: Callable[..., Any], work: SimpleNamespace) -> Any:
    keys = {
        "llm_name_or_path": work.llm,
        "vision_tower": work.root / "tower",
        "dataset_dir": work.root,
        "output_dir": work.root / "out",
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "per_device_train_batch_size": 4,
        "learning_rate": 3e-3,
        "lr_mult": '{"multi_modal_projector":2}',
        "num_train_epochs": 28,
        "bf16": False,
        "tf32": False,
        "plot_loss": False,
    }
    return run("train", "ptcga200_vqa.yaml", keys, env=LAUNCH)


def test_it_learns(trained: Any) -> None:
    losses = list(trained.logged("loss").values())
    assert len(losses) == 28 * 16 // 8
    assert sum(losses[-4:]) < sum(losses[:4]) / 3


def test_the_eye_is_the_imported_one(trained: Any, work: SimpleNamespace) -> None:
    own, found = work.model.state_dict(), load_file(trained.out / "model.safetensors")
    eye = {name.partition("encoder.")[2]: value for name, value in found.items() if name.startswith("vision_tower.")}
    assert len(eye) == len([name for name in own if not name.startswith(("norm.", "blocks.2."))]) > 20
    for name, value in eye.items():
        assert torch.equal(value, own[name.replace("factor", "gamma")]), name
    told = json.loads((trained.out / "config.json").read_text())["vision_config"]
    assert (told["model_type"], told["encoder"], told["select_layer"], told["tokens_per_tile"]) == (
        "timm",
        "tower",
        -2,
        16,
    )


def test_it_answers(trained: Any, work: SimpleNamespace) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    model = load_model(trained.out, device="cpu")
    said = [ask(model, work.question, image=record.images[0], max_new_tokens=24) for record in work.records[:8]]
    assert sum(text == work.said[record.id] for text, record in zip(said, work.records, strict=False)) >= 6


def test_the_shipped_file_names_the_imported_encoder_and_its_questions(configs: Path, work: SimpleNamespace) -> None:
    text = (configs / "ptcga200_vqa.yaml").read_text()
    found = yaml.safe_load(text)
    wanted = {"vision_model_name": "timm", "mm_projector_type": "mlp2x_gelu", "dataset": "ptcga200"}
    assert {key: found[key] for key in wanted} == wanted
    assert "import-weights ptcga200-mae" in text
    assert json.loads((configs / "dataset_info.json").read_text())["ptcga200"] == work.entry
