"""The shipped configs: all parse, hold the published values, and the smoke runs are the real ones made small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hooks import LoggerHook
from mmengine.optim import AmpOptimWrapper, CosineAnnealingLR
from mmengine.utils.misc import get_object_from_string
from peft import LoraConfig
from xtuner.registry import BUILDER
from xtuner.utils import PROMPT_TEMPLATE

from pathplugins.commands.configs import folder
from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT, SYSTEM_PROMPT
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.xtuner.conversations import resolve_system, resolve_template
from pathplugins.xtuner.optim import adamw_by_module
from pathplugins.xtuner.schedule import WarmUpLR
from pathplugins.xtuner.whole_checkpoints import WholeCheckpointHook

pytestmark = pytest.mark.host

SHIPPED = sorted(folder("xtuner").glob("*.py"))
RUNS = [path for path in SHIPPED if path.stem != "pathology_base"]


def read(name: str) -> Any:
    return Config.fromfile(folder("xtuner") / f"{name}.py")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry of a config by its dotted name; what was imported as the object, which MMEngine holds by name."""
    if isinstance(value, dict) and value:
        for key in value:
            yield from leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for number, entry in enumerate(value):
            yield from leaves(entry, f"{path}.{number}")
    elif isinstance(value, str) and re.fullmatch(r"[a-z]\w*(\.\w+)+", value):
        yield path, get_object_from_string(value) or value
    else:
        yield path, value


def entries(name: str) -> dict[str, Any]:
    return dict(leaves(read(name)._cfg_dict.to_dict()))


def test_all_were_found() -> None:
    assert [path.stem for path in RUNS] == [
        "pallava_domain_alignment",
        "pallava_instruction_tuning",
        "pallava_smoke_align",
        "pallava_smoke_tune",
        "pathgen_phase1",
        "pathgen_phase2",
        "ptcga200_vqa",
        "quilt_instruct",
        "quilt_pretrain",
        "slidechat_stage1",
        "slidechat_stage2",
        "wsi_llava_official",
        "wsi_llava_stage2",
        "wsi_llava_stage3",
    ]
    assert len(SHIPPED) == len(RUNS) + 1


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_each_names_the_same_parts_and_data_everywhere(path: Path, tmp_path: Path) -> None:
    cfg = read(path.stem)
    model, data = cfg.model.llm.model, cfg.train_dataloader.dataset
    assert data.model == cfg.train_dataloader.collate_fn.model == model
    parts = {} if isinstance(model, str) else model.to_dict()  # a directory that was imported, else parts of one
    if not parts:
        assert (model, data.data_path) == (cfg.start, cfg.data_path)
    else:
        weights = {name: str(tmp_path) for name in ("llm", "vision_tower") if parts[name]}
        ComposeSpec(**{**parts, **weights})  # no unknown part, option or name
    if parts and "smoke" not in path.stem:  # what stands at the top is what is used
        used = (parts["llm"], parts["vision_tower"], data.data_path, cfg.model.get("pretrained_pth"))
        assert used == (cfg.llm_name_or_path, cfg.vision_tower, cfg.data_path, cfg.get("pretrained_pth"))
    cfg.dump(tmp_path / "again.py")  # as MMEngine does in the work directory
    again = dict(leaves(Config.fromfile(tmp_path / "again.py")._cfg_dict.to_dict()))
    written = entries(path.stem)
    assert len(again) > 80
    assert {key: written.get(key) for key in again} == again


@pytest.mark.parametrize("name", [path.stem for path in RUNS])
def test_a19_resumes_only_when_it_is_told_to(name: str) -> None:
    cfg = read(name)
    assert (cfg.resume, cfg.load_from) == (False, None)
    assert "SameRunHook" in str(cfg.custom_hooks[1].type)


PUBLISHED: dict[str, dict[str, Any]] = {
    "pallava_domain_alignment": {  # A19
        "optim_wrapper.accumulative_counts": 6,
        "train_cfg.max_epochs": 9,
        "optim_wrapper.optimizer.lr": 1e-4,
        "param_scheduler.0.end": 0.03 * 9,
        "param_scheduler.1.begin": 0.03 * 9,
        "param_scheduler.1.end": 9,
        "param_scheduler.1.eta_min": 0.0,
    },
    "pallava_instruction_tuning": {  # A20
        "optim_wrapper.accumulative_counts": 4,
        "train_cfg.max_epochs": 12,
        "optim_wrapper.optimizer.lr": 2e-4,
        "param_scheduler.0.end": 0.03 * 12,
        "param_scheduler.1.begin": 0.03 * 12,
        "param_scheduler.1.end": 12,
        "param_scheduler.1.eta_min": 1e-6,
        "model.lr_mult.multi_modal_projector": 0.5,
    },
}
BOTH: dict[str, Any] = {  # A11, A14 to A19, A21 to A23
    "train_dataloader.batch_size": 6,
    "train_dataloader.num_workers": 16,
    "train_dataloader.dataset.max_length": 2048,
    "optim_wrapper.type": AmpOptimWrapper,
    "optim_wrapper.dtype": "float16",
    "optim_wrapper.loss_scale": "dynamic",
    "optim_wrapper.clip_grad.max_norm": 1,
    "optim_wrapper.optimizer.type": adamw_by_module,
    "optim_wrapper.optimizer.betas": (0.9, 0.999),
    "optim_wrapper.optimizer.weight_decay": 0,
    "param_scheduler.0.type": WarmUpLR,
    "param_scheduler.0.start_factor": 1e-5,
    "param_scheduler.0.by_epoch": True,
    "param_scheduler.0.begin": 0,
    "param_scheduler.0.convert_to_iter_based": True,
    "param_scheduler.1.type": CosineAnnealingLR,
    "param_scheduler.1.by_epoch": True,
    "param_scheduler.1.convert_to_iter_based": True,
    "default_hooks.checkpoint.type": WholeCheckpointHook,
    "default_hooks.checkpoint.by_epoch": False,
    "default_hooks.checkpoint.interval": 2000,
    "default_hooks.checkpoint.max_keep_ckpts": 20,
    "default_hooks.logger.type": LoggerHook,
    "default_hooks.logger.interval": 10,
    "custom_hooks.0.every_n_iters": 1000,
    "model.freeze_llm": True,
    "model.freeze_visual_encoder": True,
    "model.freeze_projector": False,
    "model.llm_lora.type": LoraConfig,
    "model.llm_lora.r": 128,
    "model.llm_lora.lora_alpha": 256,
    "model.llm_lora.lora_dropout": 0.05,
    "model.llm_lora.bias": "none",
    "model.llm.torch_dtype": "float16",
    "model.llm.model.vision_model_name": "plip",
    "model.llm.model.image_aspect_ratio": "anyres",
    "model.llm.model.mm_projector_type": "scale_invariant",
    "model.llm.model.projector_config.cross_attention_freq": 1,
    "model.llm.model.projector_config.num_hidden_layers": 6,
    "model.llm.model.projector_config.projector_depth": 1,
    "model.llm.model.llm": "meta-llama/Meta-Llama-3-8B-Instruct",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a19_to_a24_published_values(name: str) -> None:
    cfg, wanted = read(name), {**BOTH, **PUBLISHED[name]}
    found = entries(name)
    assert {key: found.get(key) for key in wanted} == wanted
    assert ("lr_mult" in cfg.model) == ("pretrained_pth" in cfg.model) == (name == "pallava_instruction_tuning")
    assert len(cfg.custom_hooks[0].evaluation_inputs) == list(PUBLISHED).index(name) + 1  # A30
    lora = BUILDER.build(cfg.model.llm_lora)
    assert (lora.target_modules, lora.task_type) == (None, "CAUSAL_LM")


@pytest.mark.parametrize(
    ("name", "system"),
    [("pallava_domain_alignment", PATCH_SYSTEM_PROMPT), ("wsi_llava_stage2", SYSTEM_PROMPT)],
)
def test_a9_a10_template_and_system_prompt_are_those_of_the_training_data(name: str, system: str) -> None:
    cfg = read(name)
    data, hook = cfg.train_dataloader.dataset, cfg.custom_hooks[0]
    assert resolve_template(data.prompt_template) == PROMPT_TEMPLATE.llama3_chat
    assert resolve_system(data.system) == system
    assert not {"prompt_template", "system", "model"} & set(hook), "the hook takes them from the data"


SMALL = {
    *("llm", "vision_tower", "random_vision_seed", "vision_config", "hidden_size", "intermediate_size"),
    *("num_hidden_layers", "num_attention_heads", "image_size", "patch_size", "dropout"),
    *("torch_dtype", "r", "lora_alpha", "lora_dropout", "batch_size", "num_workers", "format", "data_path"),
    *("image_folder", "max_length", "max_new_tokens", "lr", "type", "dtype", "loss_scale", "accumulative_counts"),
    *("max_epochs", "interval", "backend", "pretrained_pth", "evaluation_inputs"),
}


@pytest.mark.parametrize(
    ("small", "real"),
    [("pallava_smoke_align", "pallava_domain_alignment"), ("pallava_smoke_tune", "pallava_instruction_tuning")],
)
def test_smoke_configs_are_the_real_ones_made_small(small: str, real: str) -> None:
    used = ("model", "train_dataloader", "optim_wrapper", "train_cfg", "custom_hooks", "default_hooks", "env_cfg")
    ours, theirs = (
        {key: value for key, value in entries(name).items() if key.startswith(used)} for name in (small, real)
    )
    assert len(theirs) > 50
    changed = {key for key in ours.keys() | theirs.keys() if ours.get(key, "") != theirs.get(key, "")}
    assert {key.rpartition(".")[2] for key in changed} <= SMALL
    assert [key for key in changed if key.endswith(".type")] == ["optim_wrapper.type"]
