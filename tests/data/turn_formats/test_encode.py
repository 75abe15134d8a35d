"""Token ids and label masks of exact chat formats, against references written from their descriptions."""

from __future__ import annotations

from typing import Any

import pytest
import slidechat_reference as reference
from transformers import AutoTokenizer

from pathplugins.data.records import Turn
from pathplugins.data.turn_formats import FORMATS, encode
from pathplugins.data.turn_formats.encode import Encoded, prompt_ids
from pathplugins.data.turn_formats.jinja import chat_template
from pathplugins.data.turn_formats.turn_format import TurnFormat

SLIDECHAT = FORMATS.get("slidechat_qwen")
TAGGED = TurnFormat(
    name="tagged",
    source="made up",
    markers=("<s_turn>", "<e_turn>"),
    begin="<bos><bos>",
    system=("{", "}\n\n"),
    system_inside=True,
    user=("<s_turn>user\n", "<e_turn>\n"),
    lead="<s_turn>model\n",
    lead_learnt=True,
    end="<e_turn>",
    after="\n",
    image=("\n\n<open>", "<close>\n\n"),
    strip=True,
    stop_words=("<e_turn>",),
)
"""Markers around images, tags among what is learnt, the system prompt within the first turn, begun twice."""
FRONT = TurnFormat(
    name="front",
    source="made up",
    markers=("<|im_start|>", "<|im_end|>"),
    system=("<|im_start|>system\n", "<|im_end|>\n"),
    default_system="You write reports.",
    user=("<|im_start|>user\n", "<|im_end|>\n"),
    lead="<|im_start|>assistant\n",
    end="<|im_end|>\n",
    images="conversation",
    stop_words=("<|im_end|>",),
)
"""All images before all text; the last line break is learnt."""
TOKENS = ("<|im_end|>", "<|endoftext|>", "<|im_start|>", "<bos>", "<s_turn>", "<e_turn>", "<open>", "<close>")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(
        reference.tiny_qwen(tmp_path_factory.mktemp("llm") / "llm", ["\n\n\n", "\n\nmodel\n"] * 9, tokens=TOKENS)
    )


def turns_of(turns: reference.Turns, system: str | None = None) -> list[Turn]:
    said = [] if system is None else [Turn("system", system)]
    return said + [turn for asked, told in turns for turn in (Turn("user", asked), Turn("assistant", told))]


def flat(form: TurnFormat, made: Encoded) -> tuple[list[int], list[int]]:
    """Ids and labels of a conversation."""
    ids: list[int] = []
    labels: list[int] = []
    for asked, lead, answer in made.rounds:
        ids += asked + lead + answer
        labels += [-100] * len(asked) + (lead if form.lead_learnt else [-100] * len(lead)) + answer
    return ids + made.after, labels + [-100] * len(made.after)


def own(tokenizer: Any) -> Any:
    return lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("system", ["", "You see {tissue}."], ids=["plain", "system"])
@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_slidechat_is_as_described(tokenizer: Any, name: str, system: str) -> None:
    turns = reference.CONVERSATIONS[name]
    wanted = reference.ids_and_labels(turns, own(tokenizer), system=system)
    [made] = encode.encode(SLIDECHAT, [turns_of(turns, system or None)], tokenizer)
    assert flat(SLIDECHAT, made) == wanted
    assert encode.encode(SLIDECHAT, [turns_of(turns)], tokenizer, system=system) == [made]


def test_pieces_are_tokenized_by_themselves(tokenizer: Any) -> None:
    """An answer that begins with a line break does not join the one before it."""
    [made] = encode.encode(SLIDECHAT, [turns_of([("a", "\n\nb")])], tokenizer)
    whole = own(tokenizer)("<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n\n\nb<|im_end|>\n")
    assert flat(SLIDECHAT, made)[0] != whole, "else this conversation shows nothing"


@pytest.mark.parametrize("system", ["", "Be brief."], ids=["plain", "system"])
@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_markers_around_images_and_learnt_tags(tokenizer: Any, name: str, system: str) -> None:
    """The whole is tokenized at once there; special tokens cut it as pieces do."""
    text = "<bos><bos>"
    for number, (question, answer) in enumerate(reference.CONVERSATIONS[name]):
        images = "\n\n<open><image><close>\n\n" * question.count("<image>")
        told = f"{{{system}}}\n\n" if system and not number else ""
        text += f"<s_turn>user\n{told}{images}{question.replace('<image>', '').strip()}<e_turn>\n"
        text += f"<s_turn>model\n{answer.strip()}<e_turn>\n"
    ids = [token for n, chunk in enumerate(text.split("<image>")) for token in [-200] * (n > 0) + own(tokenizer)(chunk)]
    start, end = (tokenizer.convert_tokens_to_ids(token) for token in ("<s_turn>", "<e_turn>"))
    model = own(tokenizer)("model\n")
    labels, learning = [], False
    for place, token in enumerate(ids):
        if token == start:
            learning = ids[place + 1 :][: len(model)] == model
        labels.append(token if learning else -100)
        learning = learning and token != end
    [made] = encode.encode(TAGGED, [turns_of(reference.CONVERSATIONS[name], system or None)], tokenizer)
    assert flat(TAGGED, made) == (ids, labels)


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_images_before_all_text(tokenizer: Any, name: str) -> None:
    turns = reference.CONVERSATIONS[name]
    encoded = own(tokenizer)
    ids = [-200] * sum(question.count("<image>") for question, _ in turns)
    ids += encoded("<|im_start|>system\nYou write reports.<|im_end|>\n")
    labels = [-100] * len(ids)
    for question, answer in turns:
        rest = question.replace("<image>", "").strip() if "<image>" in question else question
        asked = encoded(f"<|im_start|>user\n{rest}<|im_end|>\n<|im_start|>assistant\n")
        told = encoded(f"{answer}<|im_end|>\n")
        ids, labels = ids + asked + told, labels + [-100] * len(asked) + told
    [made] = encode.encode(FRONT, [turns_of(turns)], tokenizer)
    assert flat(FRONT, made) == (ids, labels)


@pytest.mark.parametrize("system", [None, "Be brief."], ids=["plain", "system"])
@pytest.mark.parametrize("name", reference.CONVERSATIONS)
@pytest.mark.parametrize("form", [SLIDECHAT, TAGGED, FRONT], ids=lambda form: form.name)
def test_asked_as_trained(tokenizer: Any, form: TurnFormat, name: str, system: str | None) -> None:
    """The chat template writes what training has seen, up to the last answer."""
    turns = turns_of(reference.CONVERSATIONS[name], system)
    [made] = encode.encode(form, [[*turns[:-1], Turn("assistant", "")]], tokenizer)
    tokenizer.chat_template = chat_template(form)
    messages = [{"role": turn.role, "content": turn.text} for turn in turns[:-1]]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    chunks = [prompt_ids(form, chunk, tokenizer) for chunk in text.split("<image>")]
    ids = [token for n, chunk in enumerate(chunks) for token in [-200] * (n > 0) + chunk]
    assert flat(form, made)[0] == ids
    assert made.rounds[-1].answer == made.after == []
