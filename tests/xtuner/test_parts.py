"""From what a config names to a directory, its processor and its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose import compose, tiny_llm
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.xtuner import parts
from pathplugins.xtuner.parts import load_model, load_processor, model_directory, model_settings

pytestmark = pytest.mark.host

TOWER = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
PARTS = {
    **{"llm": "tiny-untrained-llama", "vision_model_name": "plip", "mm_projector_type": "scale_invariant"},
    "vision_config": {**TOWER, "image_size": 24, "patch_size": 8},
    "projector_config": {"num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 40},
    "random_vision_seed": 0,
}


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(tmp_path_factory.mktemp("parts") / "cache"))
        yield


def test_parts_become_a_directory_once(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = model_directory(PARTS)
    assert (directory / "config.json").is_file()
    monkeypatch.setattr(parts, "composed", None)
    assert model_directory(dict(reversed(PARTS.items()))) == directory, "whatever order a config gives them in"
    assert model_directory(ConfigDict(PARTS)) == directory
    assert model_settings(PARTS)["vision_config"]["image_size"] == 24


def test_the_directory_is_the_one_of_the_same_parts_elsewhere() -> None:
    """`composed` is what LLaMA-Factory's adapter and the command line call."""
    spec = ComposeSpec(**{**PARTS, "llm": str(tiny_llm.tiny_llm())})
    assert compose.composed(spec) == model_directory(PARTS)


def test_a_config_holds_lazy_parts(tmp_path: Path) -> None:
    """A name imported in a config stays unresolved until it is read."""
    named = "from pathplugins.models.compose.tiny_llm import TINY\n"
    rest = {key: value for key, value in PARTS.items() if key != "llm"}
    (tmp_path / "config.py").write_text(f"{named}parts = dict(llm=TINY, **{rest!r})\n")
    assert model_directory(Config.fromfile(tmp_path / "config.py").parts) == model_directory(PARTS)


def test_a_directory_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = model_directory(PARTS)
    assert model_directory(directory) == model_directory(str(directory)) == directory
    monkeypatch.chdir(directory.parent)
    assert model_directory(directory.name) == directory
    assert load_processor(directory) is load_processor(str(directory))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("no/such/model", "no/such/model holds no config.json"),
        ({"vision_model_name": "plip"}, "name no llm"),
        ({**PARTS, "vision_towr": "x"}, "unknown part 'vision_towr'. Did you mean 'vision_tower'.*options of `pathpl"),
        (
            {**PARTS, "patches_per_wsi": "many"},
            "model: patches_per_wsi: got the text 'many', wanted a whole number; co",
        ),
        (
            {**PARTS, "projector_config": [2], "llm": 5},
            r"llm: got 5, wanted text; .*_config: got the list \[2\], wanted",
        ),
        ({**PARTS, "mm_projector_type": "scale_invarient"}, "'scale_invariant'"),
    ],
)
def test_what_is_wrong_is_named(model: Any, said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        model_directory(model)


@pytest.mark.parametrize(
    ("asked", "accelerator", "got"),
    [
        ("auto", False, torch.float32),
        ("torch.bfloat16", False, torch.bfloat16),
        ("float16", True, torch.float16),
        ("float16", False, torch.bfloat16),  # a CPU's autocast cannot mix float16 with its bfloat16
        (torch.float16, False, torch.bfloat16),
    ],
    ids=str,
)
def test_types_of_the_weights(monkeypatch: pytest.MonkeyPatch, asked: Any, accelerator: bool, got: torch.dtype) -> None:
    monkeypatch.setattr(parts, "no_accelerator", lambda: not accelerator)
    assert {weight.dtype for weight in load_model(PARTS, torch_dtype=asked).parameters()} == {got}


def test_the_attention_of_the_language_model() -> None:
    model = load_model(PARTS, attn_implementation="eager")
    assert model.config.text_config._attn_implementation == "eager"
