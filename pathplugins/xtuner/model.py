"""XTuner's model: `custom_llava` with what is frozen, adapted, checkpointed and saved."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor, nn
from transformers.integrations import is_deepspeed_zero3_enabled
from xtuner.registry import BUILDER

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.models.compose.fresh_tower import fresh_tower, refuse_frozen
from pathplugins.models.foreign.pallava.checkpoint import by_our_names
from pathplugins.models.foreign.xtuner.checkpoint import CONNECTOR, SELECTOR, TOWER, read_checkpoint
from pathplugins.models.learning_rates import check_names, mark_learning_rates
from pathplugins.models.unloaded import unloaded_model
from pathplugins.weights.compare import few
from pathplugins.xtuner.export import write_directory
from pathplugins.xtuner.options import options_of
from pathplugins.xtuner.parts import load_model, model_directory


class PathologyLLaVAModel(BaseModel):
    """One `custom_llava` model for every system.

    The name ends in ``LLaVAModel`` and the attribute is ``llm`` because XTuner's ``pth_to_hf`` goes by both.

    Args:
        llm: ``dict(type=load_model, model=...)``, or the module itself.
        freeze_llm: the language model stays as it is; with ``llm_lora`` its adapter is trained all the same.
        freeze_visual_encoder: the vision tower stays as it is.
        freeze_projector: the connector stays as it is, and the token selector where it has weights.
        llm_lora: ``dict(type=LoraConfig, ...)``; all linear layers of the language model unless it names others.
        use_activation_checkpointing: recompute activations, for memory.
        pretrained_pth: checkpoint of an earlier stage (``iter_N.pth``, a file or a DeepSpeed directory): weights only.
        lr_mult: part of a parameter's name -> factor of its learning rate, e.g. ``{"multi_modal_projector": 0.5}``.
    """

    @options_of("model")
    def __init__(
        self,
        llm: Any,
        *,
        freeze_llm: bool = True,
        freeze_visual_encoder: bool = True,
        freeze_projector: bool = False,
        llm_lora: Any = None,
        use_activation_checkpointing: bool = True,
        pretrained_pth: str | None = None,
        lr_mult: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        frozen = frozen_parts(freeze_visual_encoder, freeze_projector)
        check_before_loading(llm, frozen, freeze_llm, llm_lora, pretrained_pth, lr_mult)
        core = llm if isinstance(llm, nn.Module) else _build(llm)
        core.config.use_cache = core.config.text_config.use_cache = False
        core = _prepare_quantised(core)
        if llm_lora is not None:
            core = _with_lora(core, llm_lora)
        for name, parameter in core.named_parameters():
            part = next((part for part in frozen if part in name), None)
            if part is not None:
                parameter.requires_grad_(not frozen[part])
            elif llm_lora is None:  # else PEFT has said already what of the language model is trained
                parameter.requires_grad_(not freeze_llm)
        if not is_deepspeed_zero3_enabled():  # which casts by itself
            _train_in_float32(core)
        if use_activation_checkpointing:
            core.enable_input_require_grads()
            core.gradient_checkpointing_enable()
        self.llm = core
        self.taken_over: set[str] = set()
        """Names of what `load_trained` has copied: nowhere else are they once this stage freezes them."""
        if pretrained_pth is not None:
            self.load_trained(read_checkpoint(pretrained_pth), pretrained_pth)
        mark_learning_rates(self, lr_mult or {})

    def init_weights(self) -> None:
        """Do nothing: MMEngine calls this before training, and Transformers would draw the adapters' weights anew."""

    def forward(self, data: dict[str, Any], data_samples: Any = None, mode: str = "loss") -> Any:
        """Return the loss of a batch of `collate`; the whole output in the modes ``tensor`` and ``predict``."""
        del data_samples
        output = self.llm(**data, use_cache=False)
        return {"loss": output.loss} if mode == "loss" else output

    def trained_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of the weights that are trained."""
        return {name: tuple(_shape(weight)) for name, weight in self.named_parameters() if weight.requires_grad}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Return the weights that are trained, here or in the stage before; the rest is where it was loaded from."""
        state = super().state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix", args[1] if len(args) > 1 else "")
        kept = {prefix + name for name in self.taken_over.union(self.trained_shapes())}
        return OrderedDict((name, value) for name, value in state.items() if name in kept)

    def load_trained(self, state: Mapping[str, Tensor], source: str) -> None:
        """Copy the weights an earlier stage trained; every one must have its place, or nothing is copied.

        A connector comes whole or not at all. PA-LLaVA's own checkpoints are taken by their names, and those of a stage
        without LoRA in one with it.
        """
        own = {_bare(name): parameter for name, parameter in self.named_parameters()}
        state = by_our_names({_bare(name): value for name, value in state.items()}, own)
        unknown = sorted(state.keys() - own.keys())
        absent = sorted(name for name in own.keys() - state.keys() if CONNECTOR in name)
        absent = absent if any(CONNECTOR in name for name in state) else []
        wrong = [
            f"{name} is {tuple(value.shape)}, wanted {tuple(_shape(own[name]))}"
            for name, value in state.items()
            if name in own and tuple(value.shape) != tuple(_shape(own[name]))
        ]
        problems = [
            f"no place for {few(unknown)}" if unknown else "",
            f"of the connector it lacks {few(absent)}" if absent else "",
            few(wrong),
            "" if state else "it holds no weights",
        ]
        if any(problems):
            raise CheckpointError(
                f"{source} does not fit this model: {'; '.join(filter(None, problems))}; were connector, LoRA or "
                "language model others then?"
            )
        for name, value in state.items():
            _assign(own[name], value)
        self.taken_over |= {name for name, _ in self.named_parameters() if _bare(name) in state}
        print_log(f"loaded {len(state)} trained weights from {source}", "current")

    def to_hf(
        self,
        cfg: Any,
        save_dir: str,
        fp32: bool = False,
        save_pretrained_kwargs: Any = None,
        save_format: str = "xtuner",
    ) -> None:
        """Write one Hugging Face directory, adapters merged: ``xtuner convert pth_to_hf`` with any ``save_format``."""
        del save_format
        state = {name: value for name, value in self.state_dict().items() if not value.is_meta}
        options = {**(save_pretrained_kwargs or {}), "safe_serialization": True}
        write_directory(cfg, state, Path(save_dir), fp32=fp32, **options)


def frozen_parts(freeze_visual_encoder: bool, freeze_projector: bool) -> dict[str, bool]:
    """Return part of a name -> whether such weights of vision tower, connector and selector stay as they are."""
    return {TOWER: freeze_visual_encoder, CONNECTOR: freeze_projector, SELECTOR: freeze_projector}


def check_before_loading(
    llm: Any,
    frozen: Mapping[str, bool],
    freeze_llm: bool,
    llm_lora: Any,
    pretrained_pth: str | None,
    lr_mult: Mapping[str, float] | None,
) -> None:
    """Refuse options of `PathologyLLaVAModel` that name what is not there.

    Args:
        llm: of the config.
        frozen: part of a name -> whether such weights of vision tower, selector and connector stay as they are.
        freeze_llm: of the config.
        llm_lora: of the config.
        pretrained_pth: of the config.
        lr_mult: of the config.
    """
    if pretrained_pth is not None and not Path(pretrained_pth).exists():
        raise PathPluginsError(f"pretrained_pth: {pretrained_pth} does not exist; give the iter_N.pth of stage 1")
    parts = llm.get("model") if isinstance(llm, Mapping) else None
    if isinstance(parts, Mapping) and pretrained_pth is None:
        refuse_frozen(fresh_tower(parts), frozen=frozen[TOWER], how="set freeze_visual_encoder=False")
    if not isinstance(llm, nn.Module):
        _check_names(llm, lr_mult or {}, llm_lora, {**frozen, "": freeze_llm and llm_lora is None})


def _build(llm: Mapping[str, Any]) -> nn.Module:
    if "type" not in llm:
        raise PathPluginsError(f"llm: wanted dict(type=load_model, model=...), got the keys {sorted(llm)}")
    options = dict(llm)
    if isinstance(options.get("quantization_config"), Mapping):
        options["quantization_config"] = BUILDER.build(options["quantization_config"])
    return BUILDER.build(options)


def _check_names(
    llm: Mapping[str, Any], lr_mult: Mapping[str, float], llm_lora: Any, frozen: Mapping[str, bool]
) -> None:
    """Raise, before the model is loaded, where learning rates or LoRA name nothing that is trained in it.

    Args:
        llm: of the config.
        lr_mult: of the config.
        llm_lora: of the config.
        frozen: part of a name -> whether such weights stay as they are; the first that fits counts.
    """
    ours = llm.get("type") is load_model or str(llm.get("type")).endswith("parts.load_model")
    wanted = llm_lora.get("target_modules") if isinstance(llm_lora, Mapping) else None
    core = unloaded_model(model_directory(llm["model"])) if ours and "model" in llm and (lr_mult or wanted) else None
    if core is None:
        return
    names = [name for name, _ in core.named_parameters()]
    check_names(lr_mult, [name for name in names if not next(held for part, held in frozen.items() if part in name)])
    if wanted:
        _adapted_layers(core, wanted)


def _prepare_quantised(core: nn.Module) -> nn.Module:
    if getattr(core, "is_quantized", False):
        from peft import prepare_model_for_kbit_training

        return prepare_model_for_kbit_training(core, use_gradient_checkpointing=False)
    return core


def _with_lora(core: nn.Module, lora: Any) -> nn.Module:
    """Wrap by PEFT the layers named in ``target_modules`` (all linear ones by default), of the LLM alone."""
    from peft import get_peft_model

    config = lora if not isinstance(lora, Mapping) else BUILDER.build(dict(lora))
    config.target_modules = _adapted_layers(core, config.target_modules)
    return get_peft_model(core, config)


def _adapted_layers(core: nn.Module, wanted: Any) -> list[str]:
    """Return the names of the language model's linear layers that ``target_modules`` means; raise where none is."""
    linear = [
        name for name, part in core.named_modules() if name.startswith("model.") and "Linear" in type(part).__name__
    ]
    if wanted is None or wanted == "all-linear":
        chosen = linear
    elif isinstance(wanted, str):
        chosen = [name for name in linear if re.fullmatch(wanted, name)]
    else:
        chosen = [name for name in linear if any(name == w or name.endswith(f".{w}") for w in wanted)]
    if not chosen:
        raise PathPluginsError(
            f"llm_lora: no linear layer of the language model is called {wanted}; it has {few(_leaves(linear))}"
        )
    return chosen


def _leaves(names: list[str]) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in names})


def _train_in_float32(core: nn.Module) -> None:
    """Cast trained weights to float32: gradient scaling refuses float16, too coarse for small learning rates."""
    for parameter in core.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.float16, torch.bfloat16):
            parameter.data = parameter.data.float()


def _bare(name: str) -> str:
    """Return a weight's name without what PEFT puts around the module it adapts."""
    return name.replace("base_model.model.", "", 1).replace(".base_layer.", ".")


def _shape(parameter: nn.Parameter) -> Any:
    return getattr(parameter, "ds_shape", parameter.shape)  # ZeRO-3 leaves an empty tensor behind


def _assign(parameter: nn.Parameter, value: Tensor) -> None:
    if hasattr(parameter, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
            parameter.data.copy_(value)
    else:
        parameter.data.copy_(value)
