"""Datasets in our formats, as LLaMA-Factory loads them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host


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
