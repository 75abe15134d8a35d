"""ANTONI-Alpha's two stages by the shipped files on a tiny Gemma 3: from HISTAI-Instruct's H5 to answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import antoni_reference as reference
import h5py
import numpy as np
import pytest
import yaml
from gemma_models import build_gemma3, has_gemma3
from safetensors.torch import load_file
from transformers import AutoTokenizer

pytestmark = [pytest.mark.host, pytest.mark.skipif(not has_gemma3, reason="this Transformers has no Gemma 3")]

ORGANS = ("Skin", "Breast", "Colon", "Lung")
WIDTH, QUERIES = 1280, 8
ASKED = "Which organ?"
LANGUAGES = ("dutch", "french", "german", "italian", "polish", "spanish")
REPORTS = ("clean_report", *(f"clean_report_{name}" for name in LANGUAGES))
OTHERS = ("detailed_description", "advanced_reasoning", "negative_reasoning", "differential_diagnosis")


def texts_of(organ: str) -> dict[str, list[dict[str, str]]]:
    """All attributes of both stages."""
    said = {name: [("Report?", f"This is {organ}.")] for name in (*REPORTS, *OTHERS)}
    said["short_vqa"] = [(ASKED, f"{organ}.")]
    said["multi_turn_conversation"] = [("Report?", f"This is {organ}."), (ASKED, f"{organ}.")]
    return {
        name: [
            {"role": role, "content": text}
            for pair in pairs
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        for name, pairs in said.items()
    }


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], configs: Path) -> SimpleNamespace:
    """The two H5 files, their latents as bags by the command, and a tiny MedGemma."""
    from pathplugins.data_tools.cli import main

    del environment
    root = tmp_path_factory.mktemp("antoni")
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, WIDTH)) * 2
    for split, count in (("train", 32), ("val", 24)):
        with h5py.File(root / f"{split}.h5", "w") as file:
            for number in range(count):
                rows = centres[number % 4] + rng.normal(size=(int(rng.integers(5, 12)), WIDTH)) * 0.5
                slide = f"{split}_{number:02}"
                file[f"embeddings/{slide}/features"] = rows.astype(np.float32)
                file[f"text_attributes/{slide}"] = json.dumps(texts_of(ORGANS[number % 4]))
        words = [
            "convert",
            "features",
            root / f"{split}.h5",
            "--to",
            "bare",
            "--dtype",
            "float32",
            "--encoder",
            "prism",
        ]
        assert main([*map(str, words), "--out", str(root / "latents")]) == 0
    (root / "dataset_info.json").write_text((configs / "dataset_info.json").read_text())
    texts = [turn["content"] for organ in ORGANS for turns in texts_of(organ).values() for turn in turns]
    llm = build_gemma3(root / "llm", [*texts, "user model"] * 3)
    keys = {
        "llm_name_or_path": llm,
        "projector_config": f'{{"num_queries":{QUERIES},"num_attention_heads":4}}',
        "dataset_dir": root,
        "media_dir": root / "latents",
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "bf16": False,
        "plot_loss": False,
    }
    return SimpleNamespace(root=root, llm=llm, keys=keys)


@pytest.fixture(scope="module")
def aligned(run: Callable[..., Any], work: SimpleNamespace) -> Any:
    own = {"output_dir": work.root / "align", "num_train_epochs": 1, "learning_rate": 3e-3}
    return run("train", "antoni_align.yaml", {**work.keys, **own})


@pytest.fixture(scope="module")
def instructed(run: Callable[..., Any], work: SimpleNamespace, aligned: Any) -> Any:
    own = {"output_dir": work.root / "instruct", "num_train_epochs": 4, "learning_rate": 6e-3}
    own |= {"projector_path": aligned.out, "eval_strategy": "steps", "eval_steps": 56, "lora_dropout": 0.0}
    return run("train", "antoni_instruct.yaml", {**work.keys, **own})


def test_the_first_stage_trains_the_connector_alone(aligned: Any, work: SimpleNamespace) -> None:
    from pathplugins.models.compose.text_part import text_part

    losses = list(aligned.logged("loss").values())
    assert len(losses) == 32 * 7 // 16
    assert losses[-1] < losses[0]
    before = {
        name: value for file in text_part(work.llm).glob("*.safetensors") for name, value in load_file(file).items()
    }
    after = {name: value for file in aligned.out.glob("*.safetensors") for name, value in load_file(file).items()}
    assert {name for name, value in before.items() if not (after[name] == value).all()} == set()
    assert after["multi_modal_projector.query_tokens"].shape == (1, QUERIES, WIDTH)
    assert "left out" in aligned.log, "the vision part of the language model"


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_ids_and_labels_are_those_of_antoni_alpha(aligned: Any, work: SimpleNamespace, name: str) -> None:
    """By the processor that trains and by the one that predicts."""
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place
    from llamafactory.data import processor as processors
    from llamafactory.data.template import get_template_and_fix_tokenizer

    from pathplugins.commands.loading import load_processor

    processor, turns = load_processor(aligned.out), reference.CONVERSATIONS[name]
    options = {"train_on_prompt": False, "tool_format": None, "default_system": None, "enable_thinking": None}
    template = get_template_and_fix_tokenizer(processor.tokenizer, SimpleNamespace(template="antoni_gemma3", **options))
    images = sum(question.count("<image>") for question, _ in turns)
    said = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    columns = {
        "_prompt": [said[:-1]],
        "_response": [said[-1:]],
        "_images": [[str(work.root / "latents/val_01.h5")] * images],
    }
    columns |= {f"_{key}": [None] for key in ("system", "tools", "videos", "audios")}
    data = SimpleNamespace(cutoff_len=4096, train_on_prompt=False, mask_history=False)
    made = {}
    for kind in ("SupervisedDatasetProcessor", "UnsupervisedDatasetProcessor"):
        found = getattr(processors, kind)(template, processor.tokenizer, processor, data).preprocess_dataset(columns)
        made[kind] = (found["input_ids"][0], found["labels"][0])
    tokenizer = AutoTokenizer.from_pretrained(work.llm)
    ids, labels, behind = reference.ids_and_labels(turns, tokenizer, [QUERIES] * images)
    assert made["SupervisedDatasetProcessor"] == (ids[:-behind], labels[:-behind])
    asked, answer = made["UnsupervisedDatasetProcessor"]
    assert asked + answer == ids[:-behind]
    assert tokenizer.decode(asked).endswith("<start_of_turn>model\n")


def test_the_recipe_is_the_published_one(configs: Path) -> None:
    align, instruct = (yaml.safe_load((configs / f"antoni_{name}.yaml").read_text()) for name in ("align", "instruct"))
    both = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 4, "max_grad_norm": 1.0, "bf16": True}
    both |= {"lr_scheduler_type": "cosine", "warmup_ratio": 0.1, "mm_projector_type": "latent_queries"}
    both |= {"projector_config": {"num_queries": 256, "num_attention_heads": 8, "dropout": 0.1}}
    own = {
        "antoni_align": (align, {"learning_rate": 3e-4, "weight_decay": 1e-3, "freeze_language_model": True}, 35),
        "antoni_instruct": (
            instruct,
            {"learning_rate": 3e-5, "weight_decay": 0.01, "lora_rank": 16, "lora_alpha": 16, "lora_dropout": 0.05},
            21,
        ),
    }
    info = json.loads((configs / "dataset_info.json").read_text())
    for name, (found, wanted, epochs) in own.items():
        assert {key: found[key] for key in (*both, *wanted)} == {**both, **wanted}, name
        attributes = info[found["dataset"]]["subset"].split(",")
        assert found["num_train_epochs"] * len(attributes) == epochs
    assert tuple(info["histai_align"]["subset"].split(",")) == REPORTS


def test_it_learns_from_the_latents(
    instructed: Any, aligned: Any, work: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    model = load_model(aligned.out, adapter=str(instructed.out), device="cpu")
    shares = {}
    for blind in (False, True):
        core = getattr(model.model, "base_model", model.model)
        getattr(core, "model", core).ablate_vision = blind
        bags = [(work.root / f"latents/val_{number:02}.h5", ORGANS[number % 4]) for number in range(24)]
        said = [ask(model, ASKED, bag=bag, max_new_tokens=8) for bag, _ in bags]
        shares[blind] = sum(text == f"{organ}." for text, (_, organ) in zip(said, bags, strict=True)) / len(bags)
    with capsys.disabled():
        sys.stdout.write(f"\naccuracy on 24 held-out slides: {shares[False]:.3f}, without vision {shares[True]:.3f}\n")
    assert shares[False] >= 0.95, said
    assert shares[True] <= 0.35, said
