"""Models by their keys: which directory they end in, and keys that do not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host


def test_keys_of_ours_on_another_model_are_refused(arguments: Any, toy: Any) -> None:
    with pytest.raises(
        PathPluginsError, match=r"image_seq_length: for pathology models only, but .*llm is no custom_llava"
    ):
        arguments(model_name_or_path=str(toy.llm), image_seq_length=4)
    assert arguments(model_name_or_path=str(toy.llm)).model_name_or_path == str(toy.llm)


def test_parts_of_a_finished_model_are_not_named_again(arguments: Any, typed: dict[str, Any]) -> None:
    made = arguments(**typed).model_name_or_path
    assert (Path(made) / "vision_tower.safetensors").is_file()
    with pytest.raises(PathPluginsError, match=r"vision_tower: .* has these parts already"):
        arguments(model_name_or_path=made, vision_tower=typed["vision_tower"])
    view = arguments(
        model_name_or_path=made, patches_per_wsi=9, patches_block=3, use_prefix_lm_mask=True
    ).model_name_or_path
    assert view != made
    reading = (Path(view) / "preprocessor_config.json").read_text()
    assert '"patches_per_wsi": 9' in reading
    assert '"patches_block": 3' in reading
    assert '"use_prefix_lm_mask": true' in (Path(view) / "config.json").read_text()
