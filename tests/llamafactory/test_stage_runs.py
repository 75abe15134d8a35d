"""Options that are incompatible with our models, and models that are not ours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("mask", "training", "data", "finetuning", "message"),
    [
        (False, {}, {"packing": True}, {}, "each sees those before it; set neat_packing: true"),
        (False, {}, {"packing": True, "neat_packing": True, "streaming": True}, {}, "set streaming: false"),
        (True, {"label_smoothing_factor": 0.1}, {}, {}, "use_prefix_lm_mask .* label_smoothing_factor hides"),
        (True, {}, {}, {"use_dft_loss": True}, "use_prefix_lm_mask .* use_dft_loss hides"),
        (False, {"rope_scaling": "yarn"}, {}, {}, "rope_scaling: .* write rope_scaling into the config.json of the"),
    ],
)
def test_options_that_would_train_something_else(
    arguments: Any, typed: dict[str, Any], mask: bool, training: dict, data: dict, finetuning: dict, message: str
) -> None:
    from pathplugins.llamafactory.stage_runs import with_our_trainer

    run_sft = with_our_trainer(SimpleNamespace(run_sft=lambda *_: pytest.fail("trained"), CustomSeq2SeqTrainer=None))
    options = (
        arguments(**typed, use_prefix_lm_mask=mask, rope_scaling=training.pop("rope_scaling", None)),
        SimpleNamespace(**{"packing": False, "neat_packing": False, **data}),
        SimpleNamespace(**{"label_smoothing_factor": 0.0, **training}),
        SimpleNamespace(**finetuning),
    )
    with pytest.raises(PathPluginsError, match=message):
        run_sft(*options)


def test_another_model_keeps_the_stock_trainer(arguments: Any, toy: Any) -> None:
    from pathplugins.llamafactory.stage_runs import with_our_trainer

    workflow = SimpleNamespace(CustomSeq2SeqTrainer="stock")
    workflow.run_sft = lambda *_: workflow.CustomSeq2SeqTrainer
    run_sft = with_our_trainer(workflow)
    assert run_sft(arguments(model_name_or_path=str(toy.llm)), None, None, None) == "stock"


@pytest.mark.parametrize(
    ("finetuning", "message"),
    [
        (
            {"finetuning_type": "full", "freeze_vision_tower": True},
            r"patch_mlp starts from random .*vision_tower: false,",
        ),
        (
            {"finetuning_type": "lora", "freeze_vision_tower": False, "additional_target": ["multi_modal_projector"]},
            r"set freeze_vision_tower: false and additional_target: multi_modal_projector,vision_tower, or name",
        ),
        ({"finetuning_type": "lora", "freeze_vision_tower": False, "additional_target": ["vision_tower"]}, None),
        ({"finetuning_type": "full", "freeze_vision_tower": False}, None),
    ],
)
def test_a_tower_of_noise_is_trained_or_refused(
    arguments: Any, toy: Any, finetuning: dict[str, Any], message: str | None
) -> None:
    from pathplugins.llamafactory.stage_runs import _refuse_noise

    parts = {"llm_name_or_path": str(toy.llm), "vision_config": {"feature_dim": 8, "hidden_dim": 4}}
    given = arguments(model_name_or_path="custom_llava", vision_model_name="patch_mlp", **parts)
    training, tuning = SimpleNamespace(do_train=True), SimpleNamespace(**finetuning)
    if message is None:
        _refuse_noise(given, training, tuning)
        return
    with pytest.raises(PathPluginsError, match=message):
        _refuse_noise(given, training, tuning)
    _refuse_noise(given, SimpleNamespace(do_train=False), tuning)
    plain = arguments(
        model_name_or_path="custom_llava",
        vision_model_name="features",
        **{**parts, "vision_config": {"feature_dim": 8}},
    )
    _refuse_noise(plain, training, tuning)  # it has nothing to learn
