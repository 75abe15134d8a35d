"""``streaming: true``: passes without end, batches that are not cut, and samples that are looked at when reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import BadSamplesError, PathPluginsError

pytestmark = pytest.mark.host

STREAM = {"stage": "sft", "dataset": "answered", "streaming": True, "dataloader_num_workers": 1, "buffer_size": 4}


def losses(history: list[dict[str, Any]], key: str = "loss") -> list[float]:
    return [entry[key] for entry in history if key in entry]


def test_a_stream_trains_over_several_passes_and_resumes_where_it_was(
    train_here: Callable[..., Any], tmp_path: Path
) -> None:
    """Six samples, three batches a pass."""
    keys = {**STREAM, "max_steps": 8, "save_strategy": "steps", "save_steps": 5, "output_dir": str(tmp_path / "run")}
    keys |= {"eval_dataset": "answered", "eval_strategy": "steps", "eval_steps": 8, "per_device_eval_batch_size": 4}
    whole = train_here(**keys)
    assert len(losses(whole)) == 8
    resumed = train_here(**keys, resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-5"))
    assert losses(resumed) == pytest.approx(losses(whole), abs=1e-5)
    assert losses(resumed, "eval_loss") == pytest.approx(losses(whole, "eval_loss"), abs=1e-5)
    assert len(losses(whole, "eval_loss")) == 1


def test_preferences_stream_too(train_here: Callable[..., Any]) -> None:
    history = train_here(**{**STREAM, "stage": "dpo", "dataset": "preferred"}, max_steps=4)
    assert len({round(loss, 5) for loss in losses(history)}) == 4


def test_what_does_not_fit_is_named_when_it_is_reached(train_here: Callable[..., Any]) -> None:
    with pytest.raises(BadSamplesError, match=r"train sample about .*\.png: .* are left; raise cutoff_len or lower"):
        train_here(**STREAM, cutoff_len=10)
    with pytest.raises(BadSamplesError, match="no train sample of the stream is left"):
        train_here(**STREAM, cutoff_len=10, on_bad_sample="skip")


@pytest.mark.parametrize(
    ("workers", "dispatch", "said"),
    [
        (0, None, "streaming: true needs dataloader_num_workers: 1 or more"),
        (1, True, "dispatch_batches: true cuts batches into pieces"),
    ],
)
def test_what_would_fail_in_the_middle_is_refused(workers: int, dispatch: bool | None, said: str) -> None:
    from pathplugins.llamafactory.streams import refuse_streaming

    training = SimpleNamespace(
        dataloader_num_workers=workers, accelerator_config=SimpleNamespace(dispatch_batches=dispatch)
    )
    refuse_streaming(SimpleNamespace(streaming=False), training)
    with pytest.raises(PathPluginsError, match=said):
        refuse_streaming(SimpleNamespace(streaming=True), training)
