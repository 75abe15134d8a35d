"""XTuner's model: what is trained, saved, taken over and computed (A16, A20, A21, A22)."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from peft import LoraConfig
from torch import Tensor, nn
from xtuner.registry import BUILDER

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.drawn import read_drawn
from pathplugins.models.learning_rates import MARK
from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.model import PathologyLLaVAModel
from pathplugins.xtuner.optim import adamw_by_module
from pathplugins.xtuner.parts import load_model

pytestmark = pytest.mark.host

TOWER = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
PARTS = {
    **{"llm": "tiny-untrained-llama", "vision_model_name": "plip", "mm_projector_type": "scale_invariant"},
    "vision_config": {**TOWER, "image_size": 24, "patch_size": 8},
    "projector_config": {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40, "dropout": 0.0},
    "random_vision_seed": 0,
}
LORA = {"type": LoraConfig, "r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none", "task_type": "CAUSAL_LM"}
LINEARS = [f"self_attn.{p}_proj" for p in "qkvo"] + [f"mlp.{p}_proj" for p in ("gate", "up", "down")]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(scope="module")
def batch(folder: Path) -> dict[str, Any]:
    """Two images of 160 x 90 and 96 x 96 with their captions, as the data loader gives them."""
    read_drawn(folder / "images", images=2)
    options = {"format": "drawn", "format_options": {"images": 2}, "prompt_template": "llama3_chat"}
    dataset = PathologyDataset(PARTS, data_path=str(folder / "images"), **options)
    return collate([dataset[0], dataset[1]], PARTS)


@pytest.fixture(scope="module")
def base() -> Any:
    return load_model(PARTS, torch_dtype="float32")


@pytest.fixture
def make(base: Any) -> Callable[..., PathologyLLaVAModel]:
    """A fresh model."""

    def make(core: Any = None, lora: Any = None, **options: Any) -> PathologyLLaVAModel:
        torch.manual_seed(0)  # LoRA draws its weights
        lora = None if lora is None else {**LORA, **lora}
        defaults = {"use_activation_checkpointing": False, **options}
        return PathologyLLaVAModel(copy.deepcopy(base) if core is None else core, llm_lora=lora, **defaults)

    return make


def part_of(name: str) -> str:
    if ".lora_" in name:
        return "lora"
    return next((part for part in ("vision_tower", "multi_modal_projector") if f".{part}." in name), "llm")


def step(model: PathologyLLaVAModel, batch: dict[str, Any], lr: float = 1e-2) -> dict[str, Any]:
    """One step of training, through MMEngine."""
    optimizer = adamw_by_module(model.parameters(), lr=lr, weight_decay=0.0)
    return model.train().train_step(batch, OptimWrapper(optimizer))


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


COMBINATIONS = [
    dict(zip(("freeze_llm", "freeze_visual_encoder", "freeze_projector", "lora"), flags, strict=True))
    for flags in itertools.product((True, False), (True, False), (True, False), (None, {}))
]


def test_a16_a_config_may_name_the_connector_as_published(make: Callable[..., PathologyLLaVAModel], batch: Any) -> None:
    """``qformer_mlp``, which the published model's own code refuses; built as XTuner builds it."""
    llm = {"type": load_model, "model": {**PARTS, "mm_projector_type": "qformer_mlp"}, "torch_dtype": "float32"}
    published = BUILDER.build(ConfigDict(type=PathologyLLaVAModel, llm=llm, llm_lora=LORA))
    assert published.eval()(**batch)["loss"] == make(lora={}).eval()(**batch)["loss"]


@pytest.mark.parametrize(
    "flags", COMBINATIONS, ids=lambda flags: " ".join(k for k, v in flags.items() if v is not None and v is not False)
)
def test_a21_a22_what_is_trained(make: Callable[..., PathologyLLaVAModel], flags: dict[str, Any]) -> None:
    model = make(**flags)
    trained, frozen = set(), set()
    for name, weight in model.named_parameters():
        (trained if weight.requires_grad else frozen).add(part_of(name))
    wanted = {
        "vision_tower": not flags["freeze_visual_encoder"],
        "multi_modal_projector": not flags["freeze_projector"],
    }
    if flags["lora"] is None:
        wanted["llm"] = not flags["freeze_llm"]
    else:
        wanted |= {"llm": False, "lora": True}  # PA-LLaVA says freeze_llm and means the weights below its LoRA
    assert trained == {part for part, is_trained in wanted.items() if is_trained}
    assert frozen == {part for part, is_trained in wanted.items() if not is_trained}
    state = model.state_dict()
    assert list(state) == list(model.trained_shapes()) == [n for n, w in model.named_parameters() if w.requires_grad]
    assert [n.removeprefix("outer.") for n in model.state_dict(prefix="outer.")] == list(state)


@pytest.mark.parametrize(
    "flags",
    [{"lora": {}}, {"freeze_llm": False, "freeze_visual_encoder": False}, {"freeze_projector": True, "lora": {}}],
    ids=["as published", "everything", "LoRA alone"],
)
def test_a_step_moves_what_is_trained_and_a_new_model_takes_it_over(
    make: Callable[..., PathologyLLaVAModel], batch: Any, flags: dict[str, Any], tmp_path: Path
) -> None:
    model = make(**flags)
    before = weights(model)
    logged = step(model, batch)
    assert logged["loss"] > 0
    trained = set(model.trained_shapes())
    moved = {name for name, weight in weights(model).items() if not torch.equal(weight, before[name])}
    assert moved <= trained
    idle = trained - moved
    # Zero for one step: what LoRA's zero matrix hides, and the layers of the tower behind the one that is read.
    assert all(".lora_A." in name or "vision_tower" in name for name in idle), idle
    assert {part_of(name) for name in moved} == {part_of(name) for name in trained}

    torch.save({"state_dict": model.state_dict(), "meta": {}}, tmp_path / "iter_1.pth")
    again = make(**flags, pretrained_pth=str(tmp_path / "iter_1.pth"))
    for name, weight in weights(again).items():
        assert torch.equal(weight, weights_of(model, name)), name


def weights_of(model: nn.Module, name: str) -> Tensor:
    return dict(model.named_parameters())[name]


def test_full_fine_tuning_reaches_every_weight_of_the_language_model(
    make: Callable[..., PathologyLLaVAModel], batch: Any
) -> None:
    model = make(freeze_llm=False).train()
    model(**batch)["loss"].backward()
    without = [n for n, w in model.named_parameters() if part_of(n) == "llm" and (w.grad is None or not w.grad.any())]
    assert without == []


def test_forward_modes(make: Callable[..., PathologyLLaVAModel], batch: Any) -> None:
    model = make().eval()
    loss = model(**batch, mode="loss")
    assert set(loss) == {"loss"}
    for mode in ("tensor", "predict"):
        output = model(**batch, mode=mode)
        assert torch.equal(output.loss, loss["loss"])
        assert output.logits.shape[:2] == batch["data"]["input_ids"].shape
        assert output.past_key_values is None, "no cache is kept while training"


@pytest.mark.parametrize(
    "flags", [{"lora": {}}, {"freeze_llm": False, "freeze_visual_encoder": False}], ids=["lora", "all"]
)
def test_activation_checkpointing_changes_no_gradient(
    make: Callable[..., PathologyLLaVAModel], batch: Any, flags: dict[str, Any]
) -> None:
    gradients, layers = [], []
    for recompute in (False, True):
        model = make(**flags, use_activation_checkpointing=recompute).train()
        layer = next(part for name, part in model.named_modules() if name.endswith("model.layers.0"))
        runs: list[int] = []
        layer.register_forward_hook(lambda *_, runs=runs: runs.append(1))
        model(**batch)["loss"].backward()
        layers.append(len(runs))
        gradients.append({name: w.grad for name, w in model.named_parameters() if w.grad is not None})
    assert layers == [1, 2], "the second time it is run again, for its gradients"
    assert gradients[0].keys() == gradients[1].keys()
    for name, grad in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], grad, rtol=1e-4, atol=1e-6)


def test_half_precision_keeps_what_is_trained_in_float32(
    make: Callable[..., PathologyLLaVAModel], batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathplugins.xtuner.parts.no_accelerator", lambda: False)
    model = make(load_model(PARTS, "float16"), lora={})
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}
    assert {weight.dtype for weight in model.parameters() if not weight.requires_grad} == {torch.float16}
    model = make(load_model(PARTS, "bfloat16"), lora={})
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.train()(**batch)["loss"]
    loss.backward()
    assert all(w.grad.dtype == torch.float32 for w in model.parameters() if w.grad is not None)
    assert loss.item() == pytest.approx(make(lora={}).train()(**batch)["loss"].item(), rel=0.02)


@pytest.mark.parametrize(
    ("wanted", "layers"),
    [
        (None, LINEARS),
        ("all-linear", LINEARS),
        (["q_proj", "up_proj"], ["self_attn.q_proj", "mlp.up_proj"]),
        (r".*layers\.1\..*v_proj", ["self_attn.v_proj"]),
    ],
    ids=["default", "all-linear", "names", "pattern"],
)
def test_a21_lora_stays_in_the_language_model(
    make: Callable[..., PathologyLLaVAModel], wanted: Any, layers: list[str]
) -> None:
    """PLIP's layers have names of their own, but those of other towers are the language model's."""
    names = [n for n in make(lora={"target_modules": wanted}).trained_shapes() if ".lora_" in n]
    blocks = {name.partition("model.layers.")[2].partition(".lora_")[0] for name in names}
    numbers = "1" if isinstance(wanted, str) and "layers" in wanted else "01"
    assert blocks == {f"{number}.{layer}" for number in numbers for layer in layers}
    assert len(names) == 2 * len(blocks)


def test_a20_rates_are_marked(make: Callable[..., PathologyLLaVAModel], batch: Any) -> None:
    model = make(lora={}, lr_mult={"multi_modal_projector": 0.5})
    marks = {part_of(n): getattr(w, MARK, None) for n, w in model.named_parameters() if w.requires_grad}
    assert marks == {"multi_modal_projector": 0.5, "lora": None}
    before = weights(model)
    step(model, batch, lr=1e-3)
    far: dict[str, float] = {}
    for name in model.trained_shapes():
        moved = (weights_of(model, name) - before[name]).abs().max().item()
        far[part_of(name)] = max(far.get(part_of(name), 0.0), moved)
    assert far == pytest.approx({"multi_modal_projector": 0.5e-3, "lora": 1e-3}, rel=1e-2)  # Adam's first step
    with pytest.raises(PathPluginsError, match="no trained weight"):
        make(lr_mult={"vision_tower": 0.5})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lr_mult": {"multi_modal_projecter": 2, "vision_tower": 2}}, r"\['multi_modal_projecter', 'vision_tower'\]"),
        ({"lr_mult": {"lm_head": 2}}, r"no trained weight has \['lm_head'\]"),
        ({"llm_lora": {**LORA, "target_modules": ["wq"]}}, r"is called \['wq'\]; it has.*q_proj"),
    ],
)
def test_names_are_looked_up_before_the_model_is_loaded(options: dict[str, Any], said: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pathplugins.xtuner.model._build", lambda _: pytest.fail("loads a model"))
        with pytest.raises(PathPluginsError, match=said):
            PathologyLLaVAModel({"type": load_model, "model": PARTS}, **options)
        rates = {"lora_B": 10.0, "q_proj.lora_A": 2.0, "multi_modal_projector": 0.5}
        with pytest.raises(pytest.fail.Exception):  # words that only an adapter brings are known
            PathologyLLaVAModel({"type": load_model, "model": PARTS}, llm_lora=LORA, lr_mult=rates)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pretrained_pth": "no/iter_1.pth"}, "no/iter_1.pth does not exist"),
        ({"lora": {"target_modules": ["wq"]}}, r"is called \{'wq'\}; it has.*q_proj"),
    ],
)
def test_what_is_wrong_is_named(make: Callable[..., PathologyLLaVAModel], options: dict[str, Any], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        make(**options)


def test_a_tower_of_noise_is_trained_or_refused() -> None:
    noise = {**PARTS, "vision_model_name": "patch_mlp", "vision_config": {"feature_dim": 8}}
    noise["random_vision_seed"] = None
    with pytest.raises(PathPluginsError, match=r"patch_mlp starts from .* freeze_visual_encoder=False"):
        PathologyLLaVAModel({"type": load_model, "model": noise})


def test_a_model_without_a_type(folder: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"wanted dict\(type=load_model, model=...\), got the keys \['model'\]"):
        PathologyLLaVAModel({"model": PARTS})


def test_mmengine_leaves_the_weights_as_they_are(make: Callable[..., PathologyLLaVAModel]) -> None:
    model = make(lora={})
    before = weights(model)
    model.init_weights()
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())
