r"""The two conversation formats of LLaVA v1.5, ``plain`` and ``v1``: token ids, and which of them are learnt.

``plain`` is ``<image>{caption}\n``: the question is dropped and there is one round. ``v1`` is
``{system} USER: <image>\n{question} ASSISTANT: {answer}</s>USER: ...``. An image stands at the front of its turn. The
text before and after it is tokenized by itself, so that the text behind an image starts as any text does (with
sentencepiece, a "▁"). Learnt are the caption and its line break, no end token; each answer with its end token.

``</s>`` stands for the end-of-text token of the tokenizer, which it is with Vicuna. The source is LLaVA's
``preprocess_plain``, ``preprocess_v1`` and ``tokenizer_image_token`` (haotian-liu/LLaVA c121f04).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.prompts import LLAVA_SYSTEM_PROMPT
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

Version = Literal["plain", "v1"]

IMAGE = -200
"""Stands among token ids for one image, as in LLaVA and XTuner."""
ASKS, ANSWERS = "USER: ", " ASSISTANT:"
"""Words that open a turn of the user and, after a blank, one of the assistant."""
CHUNKED = "{#- text before and after an image is tokenized by itself, as in LLaVA v1.5 -#}"
"""First in a chat template of ours, so that the processor tokenizes prompts the way the model was trained."""


class Conversation(NamedTuple):
    """A conversation without roles: questions and answers in turn, with ``<image>`` where images stand."""

    texts: Sequence[str]
    system: str = ""
    """System prompt of `v1`; LLaVA's own where there is none."""


def conversation_of(turns: Sequence[Turn], system: str = "") -> Conversation:
    """Make the conversation of a record; a system turn of its own takes the place of ``system``."""
    if turns and turns[0].role == "system":
        system, turns = turns[0].text, turns[1:]
    return Conversation([turn.text for turn in turns], system)


def image_first(text: str) -> str:
    """Move the images of a turn to its front, with a line break before the rest, stripped of blanks."""
    count = text.count(IMAGE_PLACEHOLDER)
    if not count:
        return text
    rest = text.replace(IMAGE_PLACEHOLDER, "").strip()
    return IMAGE_PLACEHOLDER * count + (f"\n{rest}" if rest else "")


def problem(version: Version, conversation: Conversation, end: str) -> str | None:
    """Return why LLaVA would learn nothing from a conversation (it masks the whole sample silently); None if it would.

    Args:
        version: the format.
        conversation: as many answers as questions.
        end: the tokenizer's end-of-text token.
    """
    questions, answers = conversation.texts[::2], conversation.texts[1::2]
    if any(IMAGE_PLACEHOLDER in answer for answer in answers):
        return f"an answer holds {IMAGE_PLACEHOLDER}; images belong into questions"
    if version == "plain":
        images = [question.count(IMAGE_PLACEHOLDER) for question in questions]
        if images != [1]:
            return f"the format plain takes one round about one image, got {len(images)} with {sum(images)} images"
        return None if answers[0] else "the caption is empty"
    before = f"{conversation.system} "
    for question, answer in zip(questions, answers, strict=True):
        said = before + _round(image_first(question), answer)
        if not answer:
            return "an answer is empty"
        if end in said:
            return f"a text holds {end}, which ends answers"
        if said.count(f"{ANSWERS} ") != 1:
            return f"a text holds {ANSWERS.strip()!r} and a blank, which open answers"
        before = ""
    return None


def masked_by_llava(version: Version, records: Iterable[Record], end: str, system: str = "") -> list[BadSample]:
    """Return the records that LLaVA would learn nothing from as bad samples; see `problem`."""
    found = []
    for record in records:
        if said := problem(version, conversation_of(record.conversations, system), end):
            detail = f"{said}; the format {version} of LLaVA would learn nothing of it"
            found.append(BadSample(source=record.source, row=record.row, reason="nothing to learn", detail=detail))
    return found


def encode(version: Version, conversations: Sequence[Conversation], tokenizer: Any) -> list[list[list[int]]]:
    """Encode each text of each conversation as token ids, with `IMAGE` where an image stands.

    Those of the answers are learnt, the others are not. An answer that is empty stays so (the prompt to be answered).

    Args:
        version: the format.
        conversations: without a `problem`, an empty last answer aside.
        tokenizer: of the language model. Tokenizers of one vocabulary give different ids in few cases, see the
            documentation of the formats.
    """
    cut = [_plain(one) if version == "plain" else _v1(one, tokenizer.eos_token) for one in conversations]
    # One call for all: fast tokenizers work on many texts at once, and many of these texts are the same.
    chunks = list(dict.fromkeys(chunk for one in cut for text in one for chunk in text.split(IMAGE_PLACEHOLDER)))
    found = tokenizer(chunks, add_special_tokens=False, verbose=False)["input_ids"] if chunks else []
    known = dict(zip(chunks, found, strict=True))
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def ids_of(text: str) -> list[int]:
        return with_images((known[chunk] for chunk in text.split(IMAGE_PLACEHOLDER)), [IMAGE])

    if version == "plain":
        return [[begin + ids_of(asked), ids_of(said)] for asked, said in cut]
    return [_rounds(whole, leads, ids_of, begin, tokenizer) for whole, *leads in cut]


def with_images(chunks: Iterable[list[int]], image: list[int]) -> list[int]:
    """Join the token ids of the texts around images, with ``image`` between one and the next."""
    ids: list[int] = []
    for place, chunk in enumerate(chunks):
        ids += image * (place > 0) + chunk
    return ids


def chat_template(version: Version, tokenizer: Any, system: str = "") -> str:
    """Return the format as a chat template, so that a saved model is asked the way it was trained.

    The special tokens are written out: a trainer may give the tokenizer others later.
    """
    begin = _quoted(tokenizer.bos_token or "")
    images = f"{_quoted(IMAGE_PLACEHOLDER)} * (turn['content'].split({_quoted(IMAGE_PLACEHOLDER)})|length - 1)"
    if version == "plain":
        asked = "{{ " + images + " }}"
        answered = "{{ turn['content'] + " + _quoted("\n") + " }}"
        said = "{% set turns = messages %}{{ " + begin + " }}"
    else:
        rest = f"turn['content']|replace({_quoted(IMAGE_PLACEHOLDER)}, '')|trim"
        asked = (
            "{% set images = " + images + " %}{% set rest = " + rest + " if images else turn['content'] %}{{ "
            f"{_quoted(ASKS)} + images + ({_quoted(chr(10))} if images and rest else '') + rest + {_quoted(ANSWERS)}"
            " }}"
        )
        answered = "{{ ' ' + turn['content'] + " + _quoted(tokenizer.eos_token) + " }}"
        said = (
            "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}"
            "{% set turns = messages[1:] %}{% else %}{% set system = " + _quoted(system or LLAVA_SYSTEM_PROMPT) + " %}"
            "{% set turns = messages %}{% endif %}{{ " + begin + " + system + ' ' }}"
        )
    return (
        f"{CHUNKED}{said}"
        "{% for turn in turns %}{% if turn['role'] == 'user' %}" + asked + "{% elif turn['role'] == 'assistant' %}"
        f"{answered}"
        "{% endif %}{% endfor %}"
    )


def _plain(conversation: Conversation) -> list[str]:
    """Return the question and the answer of the format ``plain``."""
    question, caption = conversation.texts
    return [IMAGE_PLACEHOLDER * question.count(IMAGE_PLACEHOLDER), f"{caption}\n" if caption else ""]


def _v1(conversation: Conversation, end: str) -> list[str]:
    """Return the whole text of ``v1``, then for each round the text from the end of the last answer to the next one."""
    questions = [image_first(text) for text in conversation.texts[::2]]
    before = f"{conversation.system or LLAVA_SYSTEM_PROMPT} "
    leads, whole = [], before
    for question, answer in zip(questions, conversation.texts[1::2], strict=True):
        leads.append(f"{before}{ASKS}{question}{ANSWERS}")
        whole += _round(question, answer) + (end if answer else "")
        before = end
    return [whole, *leads]


def _round(question: str, answer: str) -> str:
    return f"{ASKS}{question}{ANSWERS}" + (f" {answer}" if answer else "")


def _rounds(
    whole: str, leads: Sequence[str], ids_of: Callable[[str], list[int]], begin: list[int], tokenizer: Any
) -> list[list[int]]:
    """Cut the token ids of the whole text where answers begin and end."""
    ids, eos = ids_of(whole), tokenizer.eos_token_id
    texts, start = [], 0
    for number, lead in enumerate(leads):
        asked = ids_of(lead)[number > 0 :]  # without the end token that stands before it in the whole
        end = ids.index(eos, start) + 1 if eos in ids[start:] else len(ids)
        if ids[start : start + len(asked)] != asked:
            raise PathPluginsError(
                f"the tokenizer of {tokenizer.name_or_path} joins {ANSWERS.strip()!r} or {tokenizer.eos_token!r} with "
                f"the text behind, so that an answer has no beginning: {whole[-200:]!r}; choose another template"
            )
        texts += [asked, ids[start + len(asked) : end]]
        start = end
    texts[0] = begin + texts[0]
    return texts


def _quoted(text: str) -> str:
    """Quote a text as a Jinja string, which knows the escapes of Python."""
    return repr(text)
