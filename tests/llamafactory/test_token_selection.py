"""Token selectors by the shipped files, their keys on the command line: what is trained, saved, taken over and seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.host

PROJECTION = "token_selector.text_query_projection"
BUDGET = 7


@pytest.fixture(scope="module")
def merging(run: Callable[..., Any], toy: Any, quick: dict[str, Any]) -> Any:
    """Stage 2 with ``prumerge``."""
    own = {"vision_feature_select_mode": "prumerge", "image_seq_length": BUDGET, "output_dir": toy.root / "merging"}
    own |= {"dataset": "train_report", "eval_dataset": "few_report", "selector_config": '{"k_per_token":4,"layer":0}'}
    pace = {"max_steps": 64, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}
    pace |= {"learning_rate": 1e-2, "eval_steps": 64, "save_steps": 64, "per_device_eval_batch_size": 8}
    return run("train", "wsi_llava_stage2.yaml", {**quick, **own, **pace})


@pytest.fixture(scope="module")
def model_keys(toy: Any, merging: Any) -> dict[str, Any]:
    """What stage 3 and export say of the model."""
    own = {"vision_feature_select_mode": "prompt_topk", "image_seq_length": BUDGET, "projector_dropout": 0.0}
    return {**toy.model_keys, **own, "projector_path": merging.out / "mm_projector.bin"}


@pytest.fixture(scope="module")
def asking(run: Callable[..., Any], toy: Any, quick: dict[str, Any], model_keys: dict[str, Any]) -> Any:
    """Stage 3 with ``prompt_topk``, on the connector that stage 2 trained with another selector."""
    own = {"dataset": "train_vqa", "eval_dataset": "val_vqa", "output_dir": toy.root / "asking"}
    pace = {"max_steps": 24, "per_device_train_batch_size": 16, "gradient_accumulation_steps": 1}
    pace |= {"learning_rate": 2e-3, "eval_steps": 24, "save_steps": 24, "per_device_eval_batch_size": 32}
    pace |= {"lora_dropout": 0.0, "loraplus_lr_ratio": 4.0, "warmup_ratio": 0.05}
    return run("train", "wsi_llava_stage3.yaml", {**quick, **model_keys, **own, **pace})


@pytest.fixture(scope="module")
def exported(run: Callable[..., Any], toy: Any, model_keys: dict[str, Any], asking: Any) -> Path:
    out = toy.root / "asking_merged"
    run("export", "wsi_llava_export.yaml", {**model_keys, "adapter_name_or_path": asking.out, "export_dir": out})
    return out


def composed(keys: dict[str, Any]) -> Path:
    """The directory that LLaMA-Factory composes of these keys."""
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    given = {name: str(value) if isinstance(value, Path) else value for name, value in keys.items()}
    return Path(PathModelArguments(model_name_or_path="custom_llava", **given).model_name_or_path)


def test_stage_2_with_a_selector_without_weights(merging: Any) -> None:
    losses = list(merging.logged("loss").values())
    assert losses[-1] < losses[0] / 2
    assert (merging.out / "mm_projector.bin").is_file()
    assert not (merging.out / "token_selector.safetensors").exists()
    assert not any("token_selector" in name for name in load_file(merging.out / "model.safetensors"))


def test_stage_3_trains_the_projection_of_the_question(asking: Any, merging: Any) -> None:
    assert f"{merging.out} holds no weights of the token selector: its projection starts anew" in asking.log
    adapter = load_file(asking.out / "adapter_model.safetensors")
    pair = [adapter[f"base_model.model.{PROJECTION}.lora_{side}.weight"] for side in "AB"]
    assert [tuple(weight.shape) for weight in pair] == [(32, 64), (32, 32)]
    assert pair[1].abs().max() > 1e-3  # starts from zero
    seeing, blind = asking.logged("eval_loss")[24], asking.logged("eval_sanity_check_loss")[24]
    assert blind > 3 * seeing


def test_export_merges_the_projection(asking: Any, exported: Path, model_keys: dict[str, Any]) -> None:
    first = load_file(composed(model_keys) / "token_selector.safetensors")
    adapter = load_file(asking.out / "adapter_model.safetensors")
    down, up = (adapter[f"base_model.model.{PROJECTION}.lora_{side}.weight"] for side in "AB")
    merged = load_file(exported / "model.safetensors")
    assert first.keys() == {name for name in merged if "token_selector" in name}
    weight = f"{PROJECTION}.weight"
    assert torch.allclose(merged[weight], first[weight] + 64 / 32 * up @ down, atol=1e-5)
    assert torch.equal(merged[f"{PROJECTION}.bias"], first[f"{PROJECTION}.bias"])


def rows(model: Path, toy: Any, out: Path, *, generate: bool) -> tuple[Any, Any, Any]:
    """Samples as LLaMA-Factory tokenizes them for training or for generation; its collator; the processor."""
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    own = {"do_predict": True, "predict_with_generate": True, "eval_dataset": "few_vqa"}
    own = own if generate else {"do_train": True, "dataset": "few_vqa"}
    options = {"model_name_or_path": str(model), "stage": "sft", "finetuning_type": "full", "cutoff_len": 512}
    options |= {"dataset_dir": str(toy.data), "template": "custom_vqa_llama3", "output_dir": str(out), **own}
    model_args, data_args, training_args, *_ = get_train_args({**options, "use_cpu": True, "report_to": "none"})
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    found = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)
    dataset = found["eval_dataset" if generate else "train_dataset"]
    return dataset, SFTDataCollatorWith4DAttentionMask(template=template, **module), module["processor"]


def test_generation_sees_what_training_sees(exported: Path, toy: Any, tmp_path: Path) -> None:
    """The same question, the same rows of the bag, the same number of tokens; in training an epoch is given, too."""
    from transformers import AutoModelForImageTextToText

    from pathplugins.models.custom_llava.questions import find_questions

    model = AutoModelForImageTextToText.from_pretrained(exported).eval()
    image, marks = model.config.image_token_id, model.config.question_marks
    seen = []
    for generate in (False, True):
        dataset, collate, processor = rows(exported, toy, tmp_path, generate=generate)
        processor.sampling_epoch = None if generate else torch.zeros(1, dtype=torch.int64)
        batch = collate([dict(row) for row in dataset])
        batch.pop("labels")
        counts = (batch["input_ids"] == image).sum(1).tolist()
        texts = zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), counts, strict=True)
        asked = [find_questions(ids, mask, image, [count], marks)[0] for ids, mask, count in texts]
        with torch.no_grad():
            chosen = model.train(not generate).select_image_tokens(**batch)
        assert chosen.counts == counts == [1 + BUDGET] * 8
        seen.append((asked, batch["patch_counts"].tolist(), chosen.indices.view(8, BUDGET).tolist()))
    (asked, patches, kept), (asked_again, patches_again, kept_again) = seen
    assert asked == asked_again
    assert {processor.tokenizer.decode(question) for question in asked} == {"Which tissue dominates this slide?"}
    assert patches == patches_again
    whole = [index for index, count in enumerate(patches) if count < 24]  # of a larger bag each epoch draws others
    assert len(whole) >= 3
    assert [kept[index] for index in whole] == [kept_again[index] for index in whole]
    assert len({tuple(each) for each in kept}) > 1


@pytest.fixture(scope="module")
def reporting(run: Callable[..., Any], mixed: dict[str, Any], toy: Any) -> Any:
    """Stage 2 with ``prompt_topk``; some batches hold no slide, and so no question to one."""
    own = {"vision_feature_select_mode": "prompt_topk", "max_steps": 8, "output_dir": toy.root / "reporting"}
    own |= {"gradient_accumulation_steps": 1, "save_steps": 8}
    return run("train", "wsi_llava_stage2.yaml", {**mixed, **own})


def test_stage_2_saves_the_projection_and_stage_3_takes_it_over(reporting: Any, toy: Any) -> None:
    assert all(math.isfinite(loss) for loss in reporting.logged("loss").values())
    saved = load_file(reporting.out / "token_selector.safetensors")
    assert saved.keys() == {f"{PROJECTION}.weight", f"{PROJECTION}.bias"}
    assert (reporting.out / "checkpoint-8" / "token_selector.safetensors").is_file()
    whole = load_file(reporting.out / "model.safetensors")
    assert [name for name, value in saved.items() if not torch.equal(whole[name], value)] == []
    keys = {**toy.model_keys, "vision_feature_select_mode": "prompt_topk", "image_seq_length": 5}
    fresh = load_file(composed(keys) / "token_selector.safetensors")
    assert (saved[f"{PROJECTION}.weight"] - fresh[f"{PROJECTION}.weight"]).abs().max() > 1e-3
    keys["projector_path"] = reporting.out / "mm_projector.bin"
    taken = load_file(composed(keys) / "token_selector.safetensors")
    for name, value in saved.items():
        assert torch.equal(taken[name], value.to(taken[name].dtype)), name


@pytest.mark.parametrize(
    ("kind", "frozen", "trained"), [("full", True, False), ("full", False, True), ("lora", True, True)]
)
def test_the_projection_is_frozen_with_the_connector(exported: Path, kind: str, frozen: bool, trained: bool) -> None:
    from transformers import AutoModelForImageTextToText

    from pathplugins.llamafactory.trainer import _freeze_selector

    model = AutoModelForImageTextToText.from_pretrained(exported)
    _freeze_selector(model, SimpleNamespace(finetuning_type=kind, freeze_multi_modal_projector=frozen))
    assert {p.requires_grad for p in model.token_selector.parameters()} == {trained}
    assert all(p.requires_grad for p in model.multi_modal_projector.parameters())


def test_mixed_precision_does_not_lose_what_an_adaptive_selector_left_empty(exported: Path, toy: Any) -> None:
    """Accelerate makes a new output of the one that ``forward`` returns; the next token must be hidden the same."""
    from types import MethodType

    from accelerate.utils.operations import convert_outputs_to_fp32
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from pathplugins.models.compose.view import derived

    mode = {"vision_feature_select_mode": "prumerge_adaptive", "image_seq_length": 16}
    view = derived(exported, config=mode, processor=mode)
    model, processor = AutoModelForImageTextToText.from_pretrained(view).eval(), AutoProcessor.from_pretrained(view)
    inputs = processor(text=["<image>\nWhich?<|eot_id|>"], images=[[str(toy.bag("adaptive", 1, rows=24))]])
    model.forward = MethodType(convert_outputs_to_fp32(type(model).forward), model)
    masks: list[torch.Tensor] = []
    hook = {"with_kwargs": True}
    model._causal.register_forward_pre_hook(lambda _, args, given: masks.append(given["attention_mask"]), **hook)
    model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert (masks[0] == 0).sum() > 0
    assert [int((mask == 0).sum()) for mask in masks] == [int((masks[0] == 0).sum())] * 3
