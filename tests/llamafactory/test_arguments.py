"""What a configuration can get wrong, each time with what to type instead."""

from __future__ import annotations

import copy
import pickle
import typing
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.files import read_json

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision_feature_select_mode": "random_sampel"}, "vision_feature_select_mode.*Did you mean 'random_sample'"),
        ({"mm_projector_type": "gamma_mpl"}, "mm_projector_type.*Did you mean 'gamma_mlp'"),
        ({"vision_model_name": "gigapth"}, "vision_model_name.*Did you mean 'gigapath'"),
        ({"vision_tower": "/nowhere/slide_encoder.pth"}, r"vision_tower: /nowhere/slide_encoder\.pth does not exist"),
        ({"vision_tower": None}, "vision_tower: name the weights .* random_vision_seed"),
        ({"projector_path": "/nowhere/mm_projector.bin"}, "projector_path: /nowhere/mm_projector.bin does not exist"),
        ({"llm_name_or_path": None}, "custom_llava needs llm_name_or_path"),
        (
            {"llm_name_or_path": "/path/to/Llama"},
            "llm_name_or_path: /path/to/Llama does not exist; correct the path or give a hub id",
        ),
        ({"mm_hidden_size": 768}, "mm_hidden_size is 768 but the vision tower gives 32"),
        ({"mm_use_im_start_end": True}, "set both to false"),
        ({"image_seq_length": -1}, "image_seq_length must be .*0.*, got -1"),
        ({"gamma_min": 1.9, "gamma_max": 1.2}, "gamma_min must be below gamma_max, got 1.9 and 1.2"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_value_is_named(arguments: Any, typed: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arguments(**{**typed, **changes})


def test_arguments_can_be_copied_and_sent(arguments: Any, typed: dict[str, Any]) -> None:
    """DPO copies them with the base class, Ray sends them."""
    from llamafactory.hparams import ModelArguments

    made = arguments(**typed, do_sanity_check=True)
    again = ModelArguments.copyfrom(made, adapter_name_or_path="adapter")
    assert type(again) is arguments
    assert (again.model_name_or_path, again.adapter_name_or_path) == (made.model_name_or_path, ["adapter"])
    assert again.do_sanity_check
    for twin in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert twin == made


def test_options_are_parsed_whatever_was_annotated_before(arguments: Any, typed: dict[str, Any]) -> None:
    """`typing` remembers a union in the order it was first written in, by whatever module."""
    from transformers import HfArgumentParser

    def forget() -> None:
        for clear in typing._cleanups:  # type: ignore[attr-defined]
            clear()

    forget()
    for mapping in (dict, dict[str, Any], typing.Dict[str, Any]):  # noqa: UP006
        assert typing.Optional[typing.Union[str, mapping]]  # noqa: UP007, UP045
    keys = {**typed, "vision_feature_select_mode": "prumerge", "selector_config": {"k_per_token": 4}}
    try:
        (parsed,) = HfArgumentParser(arguments).parse_dict(keys)
    finally:
        forget()
    assert read_json(Path(parsed.model_name_or_path) / "config.json")["selector_config"] == {"k_per_token": 4}
