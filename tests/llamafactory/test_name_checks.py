"""Names of templates, datasets, formats and models that lead nowhere, before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host

HEADER = "h5_path,caption,question,answer,slide_id,dataset\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder with entries that are right and wrong."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "slides.csv").write_text(HEADER)
    turns = [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "µ"}]
    (folder / "images.json").write_text(json.dumps([{"id": "1", "image": "a.png", "conversations": turns}]))
    (folder / "lines.jsonl").write_text(json.dumps({"instruction": "Next?", "output": "Stroma."}) + "\n")
    (folder / "long.json").write_text("[" + json.dumps({"instruction": "x" * (1 << 20), "output": ""}) + "]")
    stock = {"file_name": "images.json", "formatting": "sharegpt"}
    entries = {
        "good": {"file_name": "slides.csv", "formatting": "wsi_csv"},
        "stock": {"file_name": "slides.csv"},
        "mistyped": {"file_name": "slides.csv", "formatting": "wsi_cvs"},
        "images": {"file_name": "images.json", "formatting": "alpaca"},
        "fine": {**stock, "columns": {"messages": "conversations", "images": "image"}},
        "blind": stock,
        "unread": {"file_name": "slides.csv", "formatting": "wsi_csv", "columns": {"images": "h5"}, "folder": "x"},
        "words": {"file_name": "lines.jsonl"},
        "renamed": {"file_name": "images.json", "formatting": "sharegpt", "columns": {"messages": "turns"}},
        "long": {"file_name": "long.json"},
        "hub": {"hf_hub_url": "owner/name"},
        "pairs": {"file_name": "pairs.csv", "formatting": "preferences", "ranking": True},
        "marked": {"file_name": "marked.csv", "formatting": "preferences"},
    }
    (folder / "dataset_info.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def read(data: Path) -> Callable[..., Any]:
    """LLaMA-Factory's reading of a configuration that is right but for these keys."""
    from llamafactory.hparams import parser

    def read(**changes: Any) -> Any:
        good = {"model_name_or_path": "custom_llava", "template": "custom_vqa_llama3", "dataset_dir": str(data)}
        return parser.read_args({**good, "dataset": "good", **changes})

    return read


def test_the_rest_is_right(read: Callable[..., Any]) -> None:
    for names in ("good", "good,fine", ["good", "words"], "long", "hub", None):
        assert read(dataset=names)["dataset"] == names
    assert read(dataset=None, template=None)["template"] is None, "an export needs none"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"template": "custom_vqa_lama3"}, "unknown template 'custom_vqa_lama3'. Did you mean 'custom_vqa_llama3'?"),
        ({"template": "lama3"}, "unknown template 'lama3'. Did you mean 'custom_vqa_llama3'?"),
        ({"template": "llama3"}, "llama3 has no place for slides, .*; set template: custom_vqa_llama3$"),
        (
            {"template": "llama3", "vision_model_name": "plip"},
            "llama3 has no place for images, .*; set template: patch_vqa_llama3$",
        ),
        ({"template": "alpaca"}, "alpaca has no place for slides, .*; choose one of .*llama3, .*slidechat_qwen"),
        (
            {"template": None},
            "template is not set; choose the one of the language model: custom_vqa_llama3, custom_vqa",
        ),
        ({"dataset": "goood"}, "dataset: unknown dataset 'goood'. Did you mean 'good'?.*dataset_info.json lists them"),
        ({"eval_dataset": "fin"}, "dataset: unknown dataset 'fin'. Did you mean 'fine'?"),
        (
            {"dataset": "mistyped"},
            "dataset mistyped: unknown formatting 'wsi_cvs'. Did you mean 'wsi_csv'?.*correct it",
        ),
        (
            {"dataset": "stock"},
            'slides.csv has h5_path, .*; "formatting": "alpaca", which is the default, reads \'instruction\'; '
            'set "formatting": "wsi_csv"',
        ),
        ({"dataset": "images"}, '"formatting": "alpaca" reads \'instruction\'; set "formatting": "llava"'),
        ({"dataset": "renamed"}, '"formatting": "sharegpt" reads \'turns\'; set "formatting": "llava" or name its col'),
        (
            {"dataset": "blind"},
            "images.json has images under 'image', which its entry does not name, .*; set \"columns\": "
            '{"messages": "conversations", "images": "image"} in',
        ),
        ({"dataset": "unread"}, '(?s)dataset unread in .*"folder": \'x\'.*"columns": {"images": \'h5\'} is not read'),
        (
            {"stage": "kto"},
            'dataset good: "formatting": "wsi_csv" holds answers and nothing .*stage: kto .*"preferences" in',
        ),
        (
            {"stage": "sft", "dataset": "pairs"},
            'dataset pairs: "formatting": "preferences" has answers that are compared; set stage: rm or stage: dpo; '
            "stage: sft would learn good and bad answers alike",
        ),
        ({"stage": "kto", "dataset": "pairs"}, 'are compared; set stage: rm or stage: dpo, or, .* remove "ranking" in'),
        ({"stage": "dpo", "dataset": "marked"}, 'are marked; set stage: kto, or, .*, set "ranking": true in'),
        (
            {"dataset_dir": "nowhere"},
            "dataset_dir: nowhere/dataset_info.json does not exist; .*pathplugins configs copy",
        ),
        ({"model_name_or_path": "./savs/merged"}, "model_name_or_path: ./savs/merged does not exist; correct the path"),
        (
            {"model_name_or_path": "savs/merged"},
            "model_name_or_path savs/merged is neither a path nor a hub repository",
        ),
        ({"adapter_name_or_path": "./stage3"}, "adapter_name_or_path: ./stage3 does not exist; correct the path"),
        (
            {"adapter_name_or_path": "DATA"},
            "adapter_name_or_path: .* holds no adapter_config.json; give the output_dir",
        ),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_name_that_leads_nowhere(
    read: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    changes = {key: str(data) if value == "DATA" else value for key, value in changes.items()}
    with pytest.raises(PathPluginsError, match=said):
        read(**changes)


def test_a_configuration_of_another_model_is_not_judged(read: Callable[..., Any]) -> None:
    other = {"model_name_or_path": "owner/name", "template": "lama3", "dataset": "goood"}
    assert read(**other)["template"] == "lama3"


@pytest.mark.parametrize("name", ["./nollm", "models/llama", "/path/to/Llama"])
def test_a_language_model_that_is_nowhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PathPluginsError, match=rf"llm_name_or_path:? {name} (does not exist|is neither a path nor a)"):
        PathModelArguments(model_name_or_path="custom_llava", llm_name_or_path=name, random_vision_seed=0)
    with pytest.raises(PathPluginsError, match=rf"model_name_or_path:? {name} (does not exist|is neither a path)"):
        PathModelArguments(model_name_or_path=name, image_seq_length=4)
