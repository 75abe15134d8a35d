"""Whether a folder of tokenized samples was made for the model, its words and its tokenizer (A25)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import datasets
import pytest
from transformers import AutoTokenizer
from xtuner.dataset.huggingface import process_hf_dataset
from xtuner.dataset.map_fns import llava_map_fn, template_map_fn_factory
from xtuner.utils import PROMPT_TEMPLATE

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.xtuner.conversations import resolve_template
from pathplugins.xtuner.offline import check_origin
from pathplugins.xtuner.texts import Source, open_texts, write_texts

pytestmark = pytest.mark.host

WORDS = {"template": resolve_template("llama3_chat"), "system": "Be brief."}
TEXT = "What does this slide show? An invasive carcinoma."


def sample(name: str, image: str | None, question: str = "<image>\nWhat does this show?") -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": f"A carcinoma, as {name} is."}]
    return {"id": name, "conversations": turns, **({} if image is None else {"image": image})}


SAMPLES = [sample(f"s{n}", None if n % 3 else "a.png", "Which?" if n % 3 else "<image>\nWhat?") for n in range(40)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(build_tiny_llm(tmp_path_factory.mktemp("llm") / "llm", [TEXT]))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As large a vocabulary, other merges."""
    return AutoTokenizer.from_pretrained(build_tiny_llm(tmp_path_factory.mktemp("llm") / "llm", [TEXT.upper()]))


@pytest.fixture
def own(tmp_path: Path, tokenizer: Any) -> Path:
    """A folder of ours."""
    (tmp_path / "train.json").write_text(json.dumps(SAMPLES))
    (tmp_path / "own").mkdir()
    source = Source(data_path=(str(tmp_path / "train.json"),), format="llava", **WORDS)
    write_texts(tmp_path / "own", source, tokenizer)
    return tmp_path / "own"


@pytest.fixture
def published(tmp_path: Path, tokenizer: Any) -> Path:
    """A folder as XTuner's process_untokenized_llava_data.py writes it, read from a file as there."""
    (tmp_path / "train.json").write_text(json.dumps(SAMPLES))
    processed = process_hf_dataset(
        dataset=datasets.DatasetDict(
            {"train": datasets.Dataset.from_list(json.loads((tmp_path / "train.json").read_text()))}
        ),
        tokenizer=tokenizer,
        max_length=1852,
        dataset_map_fn=llava_map_fn,
        template_map_fn=template_map_fn_factory(PROMPT_TEMPLATE.llama3_chat),
        remove_unused_columns=False,
        pack_to_max_length=False,
        with_image_token=True,
        map_num_proc=None,
    )
    processed.save_to_disk(tmp_path / "published")
    return tmp_path / "published"


def look(folder: Path, tokenizer: Any, **words: Any) -> None:
    texts, description = open_texts(folder)
    check_origin(folder, texts, description, tokenizer, **words)


def test_our_folder_knows_what_it_was_made_of(own: Path, tokenizer: Any, stranger: Any) -> None:
    look(own, tokenizer)
    look(own, tokenizer, **WORDS)
    with pytest.raises(PathPluginsError, match=r"made with another tokenizer.*run `pathplugins preprocess`"):
        look(own, stranger)
    with pytest.raises(PathPluginsError, match=r"made with the system 'Be brief.' but the config says 'Be long.'"):
        look(own, tokenizer, system="Be long.")
    with pytest.raises(PathPluginsError, match=r"made with the template .*but the config says"):
        look(own, tokenizer, template=resolve_template("vicuna"))


def test_the_same_tokenizer_from_elsewhere_is_no_other(own: Path, tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "copy")
    look(own, AutoTokenizer.from_pretrained(tmp_path / "copy"), **WORDS)


def test_a_published_folder_is_tokenized_again(
    published: Path, tokenizer: Any, stranger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="pathplugins"):
        look(published, tokenizer)
    assert f"16 rows of {published}, tokenized again" in caplog.text
    with pytest.raises(PathPluginsError, match=r"made with another tokenizer.*in row 0 token"):
        look(published, stranger)


@pytest.mark.parametrize("row", [0, 39])
def test_one_row_is_enough(published: Path, tokenizer: Any, row: int) -> None:
    """As when a folder was put together of two."""
    texts, _ = open_texts(published)
    changed = texts.map(
        lambda one, n: {"input_ids": [*one["input_ids"][:-1], 5 if n == row else one["input_ids"][-1]]},
        with_indices=True,
    )
    with pytest.raises(PathPluginsError, match=f"in row {row} token"):
        check_origin(published, changed, None, tokenizer)


def test_rows_xtuner_cut_and_rows_it_cannot_tokenize(published: Path, tokenizer: Any) -> None:
    texts, _ = open_texts(published)
    cut = texts.map(lambda one: {key: one[key][:9] for key in ("input_ids", "labels")})
    check_origin(published, cut, None, tokenizer)
    two = texts.map(lambda one: {"conversation": [{**one["conversation"][0], "input": "<image><image>"}]})
    check_origin(published, two, None, tokenizer)


def test_a_folder_that_does_not_say_is_told_of(
    published: Path, stranger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    texts, _ = open_texts(published)
    with caplog.at_level(logging.WARNING, logger="pathplugins"):
        check_origin(published, texts.remove_columns("conversation"), None, stranger)
    assert "cannot be told" in caplog.text
