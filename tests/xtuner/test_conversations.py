"""Token ids and labels, against XTuner's own functions (features A8, A9)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import slidechat_reference as slidechat
from transformers import AutoTokenizer
from xtuner.dataset.map_fns.template_map_fn import template_map_fn
from xtuner.dataset.utils import encode_fn
from xtuner.utils import IGNORE_INDEX, IMAGE_TOKEN_INDEX, PROMPT_TEMPLATE

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import Record, Turn
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.xtuner.conversations import encode, expand, resolve_template

pytestmark = pytest.mark.host

TURNS = (
    ("<image>\nWhat does {this} show?", "An invasive\n carcinoma."),
    ("Which grade?", "Grade 2, ER+ "),
    ("", "Sure: 14 % µm."),
)
IMAGE, MASKED = IMAGE_TOKEN_INDEX, IGNORE_INDEX


def record(*turns: tuple[str, str], system: str | None = None) -> Record:
    said = [] if system is None else [Turn("system", system)]
    said += [turn for asked, told in turns for turn in (Turn("user", asked), Turn("assistant", told))]
    count = sum(asked.count("<image>") for asked, _ in turns)
    return Record(id="a", conversations=tuple(said), images=("x.png",) * count, meta={}, source="a.json", row=1)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    texts = [*(text for turn in TURNS for text in turn), *(t["INSTRUCTION"] for t in PROMPT_TEMPLATE.values())]
    return AutoTokenizer.from_pretrained(build_tiny_llm(tmp_path_factory.mktemp("llm") / "llm", texts))


@pytest.mark.parametrize("turns", [TURNS[:1], TURNS, TURNS[1:]], ids=["one turn", "several", "no image"])
@pytest.mark.parametrize("system", ["", "You see {tissue}."], ids=["plain", "system"])
@pytest.mark.parametrize(
    "name", ["llama3_chat", "vicuna", "qwen_chat", "default", "internlm2_chat", "gemma", "chatglm2", "code_llama_chat"]
)
def test_a9_ids_are_those_of_xtuner(tokenizer: Any, name: str, system: str, turns: tuple[tuple[str, str], ...]) -> None:
    template = PROMPT_TEMPLATE[name]
    conversation: list[dict[str, Any]] = [{"input": asked, "output": told} for asked, told in turns]
    conversation[0]["system"] = system
    example = template_map_fn({"conversation": copy.deepcopy(conversation)}, template)
    wanted = encode_fn(example, tokenizer, max_length=10_000, with_image_token=True)
    [got] = encode([record(*turns)], tokenizer, resolve_template(template), system=system)
    assert got.input_ids == wanted["input_ids"]
    assert got.labels == wanted["labels"]
    assert got.input_ids.count(IMAGE) == sum("<image>" in asked for asked, _ in turns)
    assert any(label != MASKED for label in got.labels)


def test_a8_images_stay_where_they_stand(tokenizer: Any) -> None:
    [got] = encode([record(("Is <image> like <image>?", "No."))], tokenizer, resolve_template("llama3_chat"))
    first, second = (place for place, token in enumerate(got.input_ids) if token == IMAGE)
    assert tokenizer.decode(got.input_ids[:first]).endswith("\n\nIs ")
    assert tokenizer.decode(got.input_ids[first + 1 : second]) == " like "
    assert tokenizer.decode(got.input_ids[second + 1 :]).startswith("?<|eot_id|>")


def test_a_record_may_bring_its_own_system_prompt(tokenizer: Any) -> None:
    both = [record(("Hi", "Ho"), system="Be brief."), record(("Hi", "Ho"))]
    texts = [tokenizer.decode(ids) for ids, _ in encode(both, tokenizer, resolve_template("vicuna"), system="Other.")]
    assert "Be brief." in texts[0]
    assert "Other." not in texts[0]
    assert "Other." in texts[1]


def test_a_tokenizer_may_have_no_begin_token(tmp_path: Path) -> None:
    bare = AutoTokenizer.from_pretrained(build_tiny_llm(tmp_path / "llm", ["Hi"]))
    bare.bos_token = None
    [got] = encode([record(("Hi", "Ho"))], bare, resolve_template("llama3_chat"))
    assert bare.decode(got.input_ids).startswith("<|start_header_id|>")


def test_templates_may_be_named() -> None:
    assert resolve_template("xtuner.utils.PROMPT_TEMPLATE.vicuna") == dict(PROMPT_TEMPLATE.vicuna)
    assert resolve_template("vicuna") == dict(PROMPT_TEMPLATE.vicuna)


@pytest.mark.parametrize(("template", "said"), [("vicunna", "'vicuna'"), ({"SYSTEM": "{system}"}, "INSTRUCTION")])
def test_a_wrong_template_is_named(template: Any, said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        resolve_template(template)


def test_a_template_without_room_for_the_system_prompt(tokenizer: Any) -> None:
    with pytest.raises(PathPluginsError, match="no SYSTEM"):
        encode([record(("Hi", "Ho"))], tokenizer, resolve_template("minicpm"), system="Be brief.")


def test_expansion() -> None:
    got = expand([5, IMAGE, 6, IMAGE, 7], [MASKED, MASKED, MASKED, MASKED, 7], [3, 1], 99)
    assert got.input_ids == [5, 99, 99, 99, 6, 99, 7]
    assert got.labels == [MASKED] * 6 + [7]
    assert expand([5], [5], [], 99) == ([5], [5])
    with pytest.raises(PathPluginsError, match="1 images stand"):
        expand([5, IMAGE], [MASKED, MASKED], [1, 2], 99)


@pytest.mark.parametrize("name", slidechat.CONVERSATIONS)
def test_an_exact_chat_format(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Ids and labels of SlideChat, and the prompt of what is asked with its template."""
    from pathplugins.data.turn_formats.encode import prompt_ids
    from pathplugins.xtuner.chat_template import jinja_template
    from pathplugins.xtuner.templates import turn_format_of

    own = AutoTokenizer.from_pretrained(slidechat.tiny_qwen(tmp_path_factory.mktemp("llm") / "llm", ["Hi"]))
    turns = slidechat.CONVERSATIONS[name]
    template = resolve_template("slidechat_qwen")
    wanted = slidechat.ids_and_labels(turns, lambda text: own(text, add_special_tokens=False)["input_ids"])
    [got] = encode([record(*turns)], own, template)
    assert (got.input_ids, got.labels) == wanted
    question = turns[0][0]
    text = own.apply_chat_template(
        [{"role": "user", "content": question}], chat_template=jinja_template(template), tokenize=False
    )
    chunks = [prompt_ids(turn_format_of(template), chunk, own) for chunk in text.split("<image>")]
    ids = [token for n, chunk in enumerate(chunks) for token in [IMAGE] * (n > 0) + chunk]
    assert got.input_ids[: len(ids)] == ids
    assert got.labels[len(ids)] != MASKED
