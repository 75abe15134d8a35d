"""What a configuration can get wrong, each time with what to type instead."""

from __future__ import annotations

import copy
import pickle
import typing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def typed(toy: Any) -> dict[str, Any]:
    import json

    keys = {key: str(value) if isinstance(value, Path) else value for key, value in toy.model_keys.items()}
    return {"model_name_or_path": "custom_llava", **keys, "vision_config": json.loads(keys["vision_config"])}


@pytest.fixture(scope="module")
def arguments() -> Any:
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    return PathModelArguments


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


def test_an_unknown_key_is_answered_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llamafactory.hparams import parser

    path = tmp_path / "run.yaml"
    path.write_text("model_name_or_path: custom_llava\nsave_steps: 100\nvision_towr: x\nsave_steps: 30\n")
    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(path), "learning_rat=1"])
    with pytest.raises(PathPluginsError, match=r"(?s)'vision_towr'.*'vision_tower'.*'learning_rat'.*'learning_rate'"):
        parser.read_args()
    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(path), "~"])
    path.write_text("model_name_or_path: custom_llava\nsave_steps: 100\nlogging_steps: 5\nsave_steps: 30\n")
    monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(path), "logging_steps=7"])
    assert parser.read_args() == {"model_name_or_path": "custom_llava", "save_steps": 30, "logging_steps": 7}


@pytest.mark.parametrize(
    ("mask", "training", "data", "finetuning", "message"),
    [
        (False, {}, {"packing": True}, {}, "set packing: false"),
        (False, {}, {"neat_packing": True}, {}, "set packing: false"),
        (True, {"label_smoothing_factor": 0.1}, {}, {}, "use_prefix_lm_mask .* label_smoothing_factor hides"),
        (True, {}, {}, {"use_dft_loss": True}, "use_prefix_lm_mask .* use_dft_loss hides"),
    ],
)
def test_options_that_would_train_something_else(
    arguments: Any, typed: dict[str, Any], mask: bool, training: dict, data: dict, finetuning: dict, message: str
) -> None:
    from pathplugins.llamafactory.sft import with_our_trainer

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
    from pathplugins.llamafactory.sft import with_our_trainer

    workflow = SimpleNamespace(CustomSeq2SeqTrainer="stock")
    workflow.run_sft = lambda *_: workflow.CustomSeq2SeqTrainer
    run_sft = with_our_trainer(workflow)
    assert run_sft(arguments(model_name_or_path=str(toy.llm)), None, None, None) == "stock"


def load(name: str, entry: dict[str, Any], model_args: Any, data: Path, **training: Any) -> Any:
    """One dataset as LLaMA-Factory would load it."""
    import json

    from llamafactory.data import loader

    (data / "dataset_info.json").write_text(json.dumps({name: entry}))
    (attr,) = loader.get_dataset_list([name], str(data))
    data_args = SimpleNamespace(dataset_dir=str(data), media_dir=str(data), dataset=[name], eval_dataset=None)
    data_args.preprocessing_num_workers, data_args.streaming = 1, training.pop("streaming", False)
    data_args.template, data_args.default_system = "custom_vqa_llama3", None
    options = {"output_dir": str(data / "out"), "should_log": True, "should_save": True, "dataloader_num_workers": 0}
    return loader._load_single_dataset(attr, model_args, data_args, SimpleNamespace(**{**options, **training}))


HEADER = "h5_path,caption,question,answer,slide_id,dataset\n"


@pytest.mark.parametrize(
    ("table", "entry", "message"),
    [
        ("", {}, "table.csv is empty; expected a header"),
        (HEADER, {}, "has a header and no rows"),
        ("h5_path,slide_id\nx.h5,x\n", {}, "lacks the columns caption"),
        (HEADER + "x.h5,c,q,a,x,d\n", {"subset": "vqaa"}, '"subset" must be "report" or "vqa" .* got \'vqaa\''),
        (HEADER.replace("\n", ",split\n") + "x.h5,c,q,a,x,d,test\n", {}, "no row has split 'train'; found test"),
        (HEADER + "x.h5,c,q,a,x,d\n", {}, "(?s)1 of 1 samples.*table.csv:2: missing file"),
    ],
)
def test_an_unusable_table_is_explained(
    arguments: Any, typed: dict[str, Any], tmp_path: Path, table: str, entry: dict[str, str], message: str
) -> None:
    (tmp_path / "table.csv").write_text(table)
    with pytest.raises(PathPluginsError, match=message):
        load("t", {"file_name": "table.csv", "formatting": "wsi_csv", **entry}, arguments(**typed), tmp_path)


def test_bags_are_refused_by_a_model_that_cannot_read_them(arguments: Any, toy: Any, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(HEADER + "x.h5,c,q,a,x,d\n")
    plain = arguments(model_name_or_path=str(toy.llm))
    message = '"formatting": "wsi_csv", images or feature bags for custom_llava models, but'
    with pytest.raises(PathPluginsError, match=message):
        load("t", {"file_name": "table.csv", "formatting": "wsi_csv"}, plain, tmp_path)


def test_streaming_without_workers_is_refused(arguments: Any, typed: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(HEADER + "x.h5,c,q,a,x,d\n")
    entry = {"file_name": "table.csv", "formatting": "wsi_csv"}
    with pytest.raises(PathPluginsError, match="dataloader_num_workers: 1 or more"):
        load("t", entry, arguments(**typed), tmp_path, streaming=True)


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
