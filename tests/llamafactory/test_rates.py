"""Names in ``lr_mult``, ``lora_target`` and ``additional_target`` are looked up before the model is loaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host

FREEZE = {"freeze_vision_tower": True, "freeze_multi_modal_projector": False, "freeze_language_model": True}
LORA = {"create_new_adapter": False, "lora_target": ["all"], "additional_target": None}


@pytest.mark.parametrize(
    ("kind", "rates", "unknown"),
    [
        ("full", {"multi_modal_projector": 2.0}, None),
        ("full", {"multi_modal_projecter": 2.0, "vision_tower": 2.0, "multi_modal": 1.0}, "multi_modal_projecter"),
        ("full", {"vision_tower": 0.1}, "vision_tower"),
        ("full", {"lm_head": 0.1}, "lm_head"),
        ("lora", {"lora_B": 16.0, "layers.1.self_attn.q_proj.lora_A.default": 2.0, "vision_tower": 2.0}, None),
        ("lora", {"visual": 2.0}, "visual"),
    ],
)
def test_a_name_that_no_trained_weight_has(
    arguments: Any, typed: dict[str, Any], kind: str, rates: dict[str, float], unknown: str | None
) -> None:
    from pathplugins.llamafactory.rates import check_rates

    model_args, tuning = arguments(**typed, lr_mult=rates), SimpleNamespace(finetuning_type=kind, **FREEZE, **LORA)
    if unknown is None:
        check_rates(model_args, tuning)
        return
    with pytest.raises(PathPluginsError, match=f"no trained weight has .*'{unknown}'"):
        check_rates(model_args, tuning)


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (
            {"lora_target": ["q_proj", "layers.1.self_attn.v_proj"], "additional_target": ["multi_modal_projector"]},
            None,
        ),
        ({"lora_target": ["q_proj", "text_query_projection"]}, None),
        ({"lora_target": ["q_proj", "v_porj"]}, "lora_target: .* 'v_porj' in its name; did you mean v_proj"),
        ({"lora_target": ["porj", "q_proj"]}, "lora_target: no module of the model has 'porj' in its name"),
        (
            {"additional_target": ["mm_projector"]},
            "additional_target: .* 'mm_projector' in its name; did you mean multi_modal_pro",
        ),
    ],
)
def test_a_name_that_no_module_has(
    arguments: Any, typed: dict[str, Any], names: dict[str, list[str]], unknown: str | None
) -> None:
    """PEFT raises only where none of the names is found."""
    from pathplugins.llamafactory.rates import check_rates

    model_args, tuning = arguments(**typed), SimpleNamespace(finetuning_type="lora", **FREEZE, **{**LORA, **names})
    if unknown is None:
        check_rates(model_args, tuning)
        return
    with pytest.raises(PathPluginsError, match=unknown):
        check_rates(model_args, tuning)


def test_the_command_loads_nothing(refused: Any, toy: Any, quick: dict[str, Any]) -> None:
    data = {"dataset": "train_report", "eval_dataset": "val_report", "output_dir": toy.root / "rates"}
    said = refused("wsi_llava_stage2.yaml", {**quick, **data, "lr_mult": '{"projecter": 2}'})
    assert said.startswith("lr_mult: no trained weight has ['projecter'] in its name")
