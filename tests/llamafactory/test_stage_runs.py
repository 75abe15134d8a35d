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
    ],
)
def test_options_that_would_train_something_else(
    arguments: Any, typed: dict[str, Any], mask: bool, training: dict, data: dict, finetuning: dict, message: str
) -> None:
    from pathplugins.llamafactory.stage_runs import with_our_trainer

    run_sft = with_our_trainer(SimpleNamespace(run_sft=lambda *_: pytest.fail("trained"), CustomSeq2SeqTrainer=None))
    options = (
        arguments(**typed, use_prefix_lm_mask=mask),
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
