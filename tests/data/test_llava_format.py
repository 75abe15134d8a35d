"""Token ids and label masks of LLaVA v1.5 (features P20, P21), with real sentencepiece vocabularies."""

from __future__ import annotations

from typing import Any

import llava_reference as reference
import pytest
import transformers
from transformers import AutoTokenizer

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.llava_format import Conversation, chat_template, conversation_of, encode, image_first, problem
from pathplugins.data.prompts import LLAVA_SYSTEM_PROMPT
from pathplugins.data.records import Turn

MASKED = reference.MASKED
SLOW = int(transformers.__version__.split(".")[0]) < 5
"""Transformers 5 has no tokenizers that run sentencepiece itself."""
KINDS = ("fast legacy", "fast", *(("slow legacy",) if SLOW else ()))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return reference.sentencepiece_model(tmp_path_factory.mktemp("spm") / "tokenizer.model")


@pytest.fixture(scope="module")
def tokenizers(model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = {}
    for kind in ("fast legacy", "fast"):
        folder = reference.fast_tokenizer(tmp_path_factory.mktemp("fast"), model, legacy=kind == "fast legacy")
        made[kind] = AutoTokenizer.from_pretrained(folder)
    if SLOW:
        from transformers import LlamaTokenizer

        written = tmp_path_factory.mktemp("slow") / "tokenizer.model"
        written.write_bytes(model.serialized_model_proto())
        made["slow legacy"] = LlamaTokenizer(str(written), legacy=True)
    return made


def flat(texts: list[list[int]]) -> tuple[list[int], list[int]]:
    """Ids and labels of a conversation: answers are learnt."""
    ids = [token for text in texts for token in text]
    return ids, [token if number % 2 else MASKED for number, text in enumerate(texts) for token in text]


def conversation(turns: list[tuple[str, str]], system: str = "") -> Conversation:
    return Conversation([text for turn in turns for text in turn], system)


def test_the_vocabulary_is_like_llamas(model: Any) -> None:
    assert len(model.encode("xUSER: a")) == len(model.encode("x")) + len(model.encode("USER: a")) - 1
    assert model.encode("\n", out_type=str) == ["▁", "<0x0A>"]


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_v1_ids_and_labels_are_those_of_llava(tokenizers: dict[str, Any], model: Any, kind: str, name: str) -> None:
    turns, tokenizer = reference.CONVERSATIONS[name], tokenizers[kind]
    legacy = kind.endswith("legacy")
    own = reference.by_sentencepiece(model)
    if not legacy:
        own = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    wanted = reference.v1(turns, own, legacy=legacy)
    assert any(label != MASKED for label in wanted[1]), "LLaVA learns something of it"
    [texts] = encode("v1", [conversation(turns)], tokenizer)
    assert flat(texts) == wanted
    learnt = [tokenizer.decode(text).lstrip() for number, text in enumerate(texts) if number % 2]
    assert learnt == [f"{answer}</s>".lstrip() for _, answer in turns]


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_older_llava_of_quilt_llava(tokenizers: dict[str, Any], model: Any, kind: str, name: str) -> None:
    """It counts as if every tokenizer had ``legacy``; without, it masks what has two rounds or more as a whole."""
    turns, tokenizer = reference.CONVERSATIONS[name], tokenizers[kind]
    own = reference.by_sentencepiece(model)
    if not kind.endswith("legacy"):
        own = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    older = reference.v1(turns, own)
    [texts] = encode("v1", [conversation(turns)], tokenizer)
    ids, labels = flat(texts)
    assert ids == older[0]
    if kind.endswith("legacy") or len(turns) == 1:
        assert labels == older[1]
    else:
        assert set(older[1]) == {MASKED}
        assert labels == reference.v1(turns, own, legacy=False)[1] != older[1]


@pytest.mark.parametrize("caption", ["Sheets of cells.", "Two\n\nlines ", "5 µm 🔬 细胞", "USER: a ASSISTANT: b"])
@pytest.mark.parametrize("kind", KINDS)
def test_plain_ids_and_labels_are_those_of_llava(
    tokenizers: dict[str, Any], model: Any, kind: str, caption: str
) -> None:
    for question in ("<image>\nDescribe it.", "Describe it.\n<image>", "<image>"):
        [texts] = encode("plain", [conversation([(question, caption)])], tokenizers[kind])
        assert flat(texts) == reference.plain([(question, caption)], reference.by_sentencepiece(model))
        assert texts[0] == [reference.BOS, reference.IMAGE]
        assert texts[1][-1] != reference.EOS


def test_what_fast_tokenizers_do_otherwise(tokenizers: dict[str, Any], model: Any) -> None:
    """Documented: a tokenizer without ``legacy`` reads what follows </s> without a "▁", and adds none to a blank."""
    rounds = conversation(reference.CONVERSATIONS["rounds"])
    of_llava, _ = reference.v1(reference.CONVERSATIONS["rounds"], reference.by_sentencepiece(model))
    [legacy], [fast] = (encode("v1", [rounds], tokenizers[kind]) for kind in ("fast legacy", "fast"))
    assert flat(legacy)[0] == of_llava != flat(fast)[0]
    assert [text for text in fast if text][1::2] == legacy[1::2], "answers are the same"
    [legacy], [fast] = (
        encode("plain", [conversation([("<image>", " Cells.")])], tokenizers[kind]) for kind in ("fast legacy", "fast")
    )
    assert tokenizers["fast"].convert_ids_to_tokens(legacy[1])[0] in ("▁▁", "▁")
    assert len(legacy[1]) == len(fast[1]) + 1


@pytest.mark.parametrize("name", reference.LEARNT_OF_NOTHING)
def test_what_llava_masks_whole_is_said_before(model: Any, name: str) -> None:
    turns = reference.LEARNT_OF_NOTHING[name]
    _, labels = reference.v1(turns, reference.by_sentencepiece(model))
    assert set(labels) == {MASKED}
    said = {"empty": "an answer is empty", "marker": "'ASSISTANT:' and a blank", "end": "holds </s>"}
    assert said[name] in problem("v1", conversation(turns), "</s>")


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_what_llava_learns_is_no_problem(name: str) -> None:
    assert problem("v1", conversation(reference.CONVERSATIONS[name]), "</s>") is None


@pytest.mark.parametrize(
    ("version", "turns", "system", "said"),
    [
        ("plain", [("What?", "Cells.")], "", "got 1 with 0 images"),
        ("plain", [("<image><image>", "Cells.")], "", "got 1 with 2 images"),
        ("plain", [("<image>", "Cells."), ("And?", "No.")], "", "got 2 with 1 images"),
        ("plain", [("<image>", "")], "", "the caption is empty"),
        ("v1", [("What?", "<image> Cells.")], "", "an answer holds <image>"),
        ("v1", [("Say ASSISTANT: or", "No.")], "", "'ASSISTANT:' and a blank"),
        ("v1", [("What?", "No.")], "Be brief.</s>", "holds </s>"),
    ],
)
def test_each_problem_has_a_sentence(version: Any, turns: Any, system: str, said: str) -> None:
    assert said in problem(version, conversation(turns, system), "</s>")


def test_images_move_to_the_front() -> None:
    assert image_first("no image ") == "no image "
    assert image_first(" What <image> now? ") == "<image>\nWhat  now?"
    assert image_first("<image> and <image>") == "<image><image>\nand"


def test_a_record_brings_its_own_system_prompt(tokenizers: dict[str, Any], model: Any) -> None:
    turns = reference.CONVERSATIONS["image before"]
    said = [Turn("system", "Be brief."), Turn("user", turns[0][0]), Turn("assistant", turns[0][1])]
    [own] = encode("v1", [conversation_of(said, "Not this one.")], tokenizers["fast legacy"])
    assert flat(own) == reference.v1(turns, reference.by_sentencepiece(model), system="Be brief.")
    [given] = encode("v1", [conversation_of(said[1:], "Be kind.")], tokenizers["fast legacy"])
    assert flat(given) == reference.v1(turns, reference.by_sentencepiece(model), system="Be kind.")
    assert reference.SYSTEM == LLAVA_SYSTEM_PROMPT


@pytest.mark.parametrize("kind", KINDS)
def test_the_chat_template_writes_the_same_text(tokenizers: dict[str, Any], kind: str) -> None:
    tokenizer = tokenizers[kind]
    turns = [("How many?\n<image>", "Two 'glands' \\ \n{{ x }}"), ("Sure? ", "Yes.")]
    messages = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]

    def render(version: Any, messages: Any, **options: Any) -> str:
        template = chat_template(version, tokenizer, **options)
        return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)

    begun = f"<s>{LLAVA_SYSTEM_PROMPT} USER: <image>\nHow many? ASSISTANT:"
    assert render("v1", messages[:1]) == begun
    assert render("v1", messages) == f"{begun} {turns[0][1]}</s>USER: Sure?  ASSISTANT: Yes.</s>"
    told = [{"role": "system", "content": "It's me."}, {"role": "user", "content": "Hi"}]
    assert render("v1", told) == "<s>It's me. USER: Hi ASSISTANT:"
    assert render("v1", told[1:], system="You're it.") == "<s>You're it. USER: Hi ASSISTANT:"
    assert render("plain", messages[:2]) == f"<s><image>{turns[0][1]}\n"
    assert render("plain", messages[:1]) == "<s><image>"


def test_a_tokenizer_that_joins_is_refused(tokenizers: dict[str, Any]) -> None:
    class Joining:
        """Its last token depends on the length of the text."""

        name_or_path, eos_token, eos_token_id, bos_token_id = "joining", "</s>", 2, 1

        def __call__(self, texts: list[str], **options: Any) -> dict[str, Any]:
            return {"input_ids": [[len(text), 7] for text in texts]}

    with pytest.raises(PathPluginsError, match="joining joins 'ASSISTANT:'"):
        encode("v1", [conversation([("a", "b")])], Joining())
