"""What one process or a machine without a GPU cannot do is left out, with a line in the log; the rest stays."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Fit a configuration on one process without a GPU, or otherwise; what is left of it and what was said."""
    from pathplugins.llamafactory import machine

    for name in machine._LAUNCHED:
        monkeypatch.delenv(name, raising=False)

    def fit(config: dict[str, Any], *, gpu: bool = False) -> tuple[dict[str, Any], str]:
        monkeypatch.setattr(machine, "_has_no_gpu", lambda: not gpu)
        left = dict(config)
        with caplog.at_level(logging.WARNING):
            machine.fit_to_machine(left)
        return left, caplog.text

    return fit


def test_deepspeed_on_one_process_is_left_out(fit: Any, configs: Path) -> None:
    for zero in ("zero2", "zero3"):
        left, said = fit({"deepspeed": str(configs / f"deepspeed/{zero}.json")}, gpu=True)
        assert left == {}
        assert f"{zero}.json is left out, one process has nobody to share with; start with FORCE_TORCHRUN=1" in said


def test_deepspeed_of_a_launched_process_stays(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert fit({"deepspeed": "zero2.json"}, gpu=True) == ({"deepspeed": "zero2.json"}, "")


def test_offloading_stays_on_one_process(fit: Any, tmp_path: Path) -> None:
    (tmp_path / "offload.json").write_text('{"zero_optimization": {"offload_optimizer": {"device": "cpu"}}}')
    for deepspeed in (str(tmp_path / "offload.json"), {"zero_optimization": {"offload_param": {"device": "cpu"}}}):
        assert fit({"deepspeed": deepspeed}, gpu=True)[0] == {"deepspeed": deepspeed}


def test_without_a_gpu_the_model_trains_in_float32(fit: Any) -> None:
    left, said = fit({"bf16": True, "tf32": True, "fp16": False, "seed": 7})
    assert left == {"fp16": False, "seed": 7}
    assert "no GPU here: bf16, tf32 left out, the model trains in float32 on the processor" in said


@pytest.mark.parametrize("config", [{"bf16": True, "tf32": True, "fp16": True}, {"bf16": False}, {}])
def test_with_a_gpu_or_nothing_to_leave_out_nothing_is_said(fit: Any, config: dict[str, Any]) -> None:
    assert fit(config, gpu=bool(config.get("bf16"))) == (config, "")


def test_bf16_on_the_cpu_stays_where_it_is_asked_for(fit: Any) -> None:
    config = {"bf16": True, "use_cpu": True}
    assert fit(config) == (config, "")


def test_this_machine_is_what_llamafactory_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from pathplugins.llamafactory import machine

    for kind in ("cpu", "cuda"):
        monkeypatch.setattr("llamafactory.extras.misc.get_current_device", lambda kind=kind: torch.device(kind))
        assert machine._has_no_gpu() == (kind == "cpu")


def test_ray_is_refused_where_it_would_wait_for_ever_and_fits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from llamafactory.train import trainer_utils

    from pathplugins.llamafactory.machine import check_ray, fit_to_machine

    check_ray()
    monkeypatch.setenv("USE_RAY", "1")
    config = {"deepspeed": "zero2.json", "bf16": True}
    fit_to_machine(config)
    assert config == {"deepspeed": "zero2.json", "bf16": True}, "the processes that Ray starts judge that"
    monkeypatch.setattr(trainer_utils, "get_placement_group", None, raising=False)
    with pytest.raises(PathPluginsError, match=r"ten CPUs for each CPU there is and waits for ever; .*TORCHRUN=1"):
        check_ray()
    monkeypatch.setenv("RANK", "0")
    check_ray()
