"""Keys of ``dataset_info.json`` beside a format of ours: obeyed or refused by name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.dataset_entries import check_entry, entry_of, renamed

PLACE = Path("data/dataset_info.json")


@pytest.mark.parametrize(
    ("formatting", "entry", "said"),
    [
        ("llava", {"hf_hub_url": "owner/name"}, r'"hf_hub_url": \'owner/name\': is read from files alone; download it'),
        ("wsi_csv", {"cloud_file_name": "s3://x.json"}, '"cloud_file_name"'),
        ("llava", {"folder": "part"}, 'belongs to "hf_hub_url"'),
        ("pmc_vqa", {"ranking": True}, 'no answers to choose between; pairs are "formatting": "preferences"'),
        ("llava", {"split": "val"}, "this format has no parts"),
        ("llava", {"colums": {}}, "unknown key 'colums'. Did you mean 'columns'"),
        (
            "pmc_vqa",
            {"columns": {"images": "picture"}},
            r'"columns": \{"images": \'picture\'\} is not read by this format',
        ),
        (
            "llava",
            {"columns": {"system": "rules"}},
            r'\{"system": \'rules\'\} is not read .*known are messages, images',
        ),
        ("llava", {"tags": {"function_tag": "tool"}}, r'\{"function_tag": \'tool\'\} is not read'),
    ],
)
def test_what_nobody_obeys_is_refused(formatting: str, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(PathPluginsError, match=rf'dataset d in .*"formatting": "{formatting}":\n.*{said}'):
        check_entry("d", {"file_name": "x", "formatting": formatting, **entry}, PLACE)


def test_all_of_an_entry_is_named_at_once() -> None:
    entry = {"formatting": "pcam200", "script_url": "x.py", "folder": "y", "columns": {"prompt": "q"}}
    with pytest.raises(PathPluginsError) as error:
        check_entry("d", entry, PLACE)
    assert str(error.value).count("\n") == 3


@pytest.mark.parametrize(
    ("formatting", "entry"),
    [
        ("llava", {"columns": {"messages": "dialog", "images": "picture"}, "tags": {"user_tag": "Doctor"}}),
        ("llava", {"split": "train", "num_samples": 4, "ranking": False, "tags": {"observation_tag": "observation"}}),
        ("wsi_csv", {"split": "val", "subset": "report", "columns": {"images": "image"}}),
        ("preferences", {"ranking": True}),
        ("preferences", {}),
    ],
)
def test_what_is_obeyed_passes(formatting: str, entry: dict[str, Any]) -> None:
    check_entry("d", {"file_name": "x", "formatting": formatting, **entry}, PLACE)


def test_names_are_told_apart_from_the_usual_ones() -> None:
    attr = SimpleNamespace(messages="dialog", images="image", role_tag=None, content_tag="text", user_tag="human")
    assert renamed(attr) == {"columns": {"messages": "dialog"}, "tags": {"content_tag": "text"}}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([], "wanted an object"),
        ({"file_name": 1}, "'file_name' is 1 in .*, wanted text"),
        ({"formatting": ["llava"]}, "'formatting' is .*wanted text"),
        ({"columns": "image"}, "'columns' is 'image' in .*, wanted an object"),
    ],
)
def test_an_entry_of_another_kind_is_refused(entry: object, message: str) -> None:
    with pytest.raises(PathPluginsError, match=f"dataset a: .*{message}"):
        entry_of({"a": entry}, "a", Path("dataset_info.json"))
