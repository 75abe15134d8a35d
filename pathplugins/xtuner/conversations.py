"""One conversation as token ids, in the words of an XTuner prompt template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.utils.misc import get_object_from_string
from xtuner.dataset.utils import get_bos_eos_token_ids
from xtuner.utils import IGNORE_INDEX, IMAGE_TOKEN_INDEX, PROMPT_TEMPLATE

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.data.chat_markers import absent_markers, families
from pathplugins.data.llava_format import conversation_of
from pathplugins.data.llava_format import encode as encode_llava
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record
from pathplugins.data.turn_formats.encode import Encoded as EncodedTurns
from pathplugins.data.turn_formats.encode import encode as encode_turns
from pathplugins.data.turn_formats.turn_format import TurnFormat
from pathplugins.xtuner.templates import TEMPLATES, llava_version, turn_format_of

_OF_FAMILY = {"llama3": "llama3_chat", "qwen": "qwen_chat", "gemma": "gemma", "phi": "phi3_chat"}
"""Family of language models -> XTuner's template for it."""


class Encoded(NamedTuple):
    """Token ids, with one ``IMAGE_TOKEN_INDEX`` (-200) where an image stands, and what is learnt of them."""

    input_ids: list[int]
    labels: list[int]
    """As long; ``IGNORE_INDEX`` (-100) where nothing is learnt."""


class _Piece(NamedTuple):
    what: str | list[int]  # text still to be tokenized, or ids
    learnt: bool = False


def resolve_template(template: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return the prompt template that a config names.

    Args:
        template: an entry of ``xtuner.utils.PROMPT_TEMPLATE`` or of `pathplugins.xtuner.templates`, its name there, or
            its dotted path, which is what a config that MMEngine wrote down holds.
    """
    known = {**PROMPT_TEMPLATE, **TEMPLATES}
    if isinstance(template, str):
        if "." in template:
            template = get_object_from_string(template)
        elif template in known:
            template = known[template]
        else:
            raise PathPluginsError(f"prompt_template: {unknown('template', template, known)}")
    if not isinstance(template, Mapping) or "INSTRUCTION" not in template:
        raise PathPluginsError(
            f"prompt_template is {template!r}, which has no INSTRUCTION; give an entry of xtuner.utils.PROMPT_TEMPLATE "
            "such as PROMPT_TEMPLATE.llama3_chat"
        )
    return dict(template)


def check_family(template: Mapping[str, Any], tokenizer: Any) -> None:
    """Raise when a prompt template writes special tokens of another family than the language model's.

    XTuner would tokenize them as plain text, and train on that without a word.

    Args:
        template: see `resolve_template`.
        tokenizer: of the language model.
    """
    written = "".join(str(template.get(key) or "") for key in ("SYSTEM", "INSTRUCTION", "SUFFIX", "SEP"))
    vocabulary = tokenizer.get_vocab()
    if absent := absent_markers(written, vocabulary):
        fitting = [_OF_FAMILY[family] for family in families(vocabulary)] or ["vicuna"]
        raise PathPluginsError(
            f"prompt_template writes {', '.join(absent)}, which the tokenizer of {tokenizer.name_or_path} does not "
            "have; it must be one of the language model's family: "
            f"{' or '.join(f'PROMPT_TEMPLATE.{name}' for name in fitting)}"
        )


def resolve_system(system: str) -> str:
    """Return the system prompt that a config names, also by its dotted path, which is what MMEngine writes down."""
    found = get_object_from_string(system) if re.fullmatch(r"\w+(\.\w+)+", system) else None
    return found if isinstance(found, str) else system


def encode(
    records: Sequence[Record], tokenizer: Any, template: Mapping[str, Any], *, system: str = ""
) -> list[Encoded]:
    """Tokenize records as XTuner's ``template_map_fn`` and ``encode_fn`` do, with images where they stand.

    Templates of LLaVA v1.5 give what LLaVA gives (`pathplugins.data.llava_format`), those of an exact chat format what
    that says (`pathplugins.data.turn_formats`). In the others, answers are learnt with what ends them, the rest is not.
    A begin-of-text token opens the conversation, and again each turn after an end-of-text token, which is written
    unless the template brings its own (``SUFFIX_AS_EOS``). Text beside an image is tokenized by itself.

    Args:
        records: well-formed ones (`check_record`); nothing is cut.
        tokenizer: of the language model.
        template: see `resolve_template`.
        system: system prompt of the records that bring none.
    """
    if version := llava_version(template):
        said = [conversation_of(record.conversations, system) for record in records]
        return [_joined(texts) for texts in encode_llava(version, said, tokenizer)]
    if form := turn_format_of(template):
        turns = [record.conversations for record in records]
        return [_flat(form, one) for one in encode_turns(form, turns, tokenizer, system=system)]
    bos, eos = get_bos_eos_token_ids(tokenizer)
    pieces = [list(_pieces(record, template, system, bos or [], eos or [])) for record in records]
    # One call for all: fast tokenizers work on many texts at once, and most of these texts are the same.
    texts = list(dict.fromkeys(piece.what for one in pieces for piece in one if isinstance(piece.what, str)))
    ids = dict(zip(texts, tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"], strict=True))
    encoded = []
    for one in pieces:
        input_ids: list[int] = []
        labels: list[int] = []
        for what, learnt in one:
            tokens = ids[what] if isinstance(what, str) else what
            input_ids += tokens
            labels += tokens if learnt else [IGNORE_INDEX] * len(tokens)
        encoded.append(Encoded(input_ids, labels))
    return encoded


def _joined(texts: Sequence[list[int]]) -> Encoded:
    """Join the ids of questions and answers in turn; only the answers are learnt."""
    ids = [token for text in texts for token in text]
    return Encoded(ids, [t if n % 2 else IGNORE_INDEX for n, text in enumerate(texts) for t in text])


def _flat(form: TurnFormat, conversation: EncodedTurns) -> Encoded:
    """Join the ids of a conversation; its answers are learnt, and what opens them if the format says so."""
    runs: list[tuple[list[int], bool]] = []
    for asked, lead, answer in conversation.rounds:
        runs += [(asked, False), (lead, form.lead_learnt), (answer, True)]
    runs.append((conversation.after, False))
    ids = [token for run, _ in runs for token in run]
    return Encoded(ids, [token if learnt else IGNORE_INDEX for run, learnt in runs for token in run])


def expand(
    input_ids: Sequence[int], labels: Sequence[int], tokens_per_image: Sequence[int], image_token_id: int
) -> Encoded:
    """Replace the i-th -200 by as many image tokens as the i-th image takes; nothing is learnt of them."""
    places = [place for place, token in enumerate(input_ids) if token == IMAGE_TOKEN_INDEX]
    if len(places) != len(tokens_per_image):
        raise PathPluginsError(
            f"{len(places)} images stand in the token ids but {len(tokens_per_image)} were given; expected as many"
        )
    wide: list[int] = []
    wide_labels: list[int] = []
    start = 0
    for place, count in zip(places, tokens_per_image, strict=True):
        wide += [*input_ids[start:place], *[image_token_id] * count]
        wide_labels += [*labels[start:place], *[IGNORE_INDEX] * count]
        start = place + 1
    return Encoded([*wide, *input_ids[start:]], [*wide_labels, *labels[start:]])


def _pieces(
    record: Record, template: Mapping[str, Any], system: str, bos: list[int], eos: list[int]
) -> Iterator[_Piece]:
    turns = record.conversations
    if turns[0].role == "system":
        system, turns = turns[0].text, turns[1:]
    if system and "SYSTEM" not in template:
        raise PathPluginsError(
            f"{record.id}: there is a system prompt but the template has no SYSTEM to put it into; leave the system "
            "prompt out or choose another prompt_template"
        )
    own_end = bool(template.get("SUFFIX_AS_EOS", False))
    for number, (question, answer) in enumerate(zip(turns[::2], turns[1::2], strict=True), start=1):
        asked = template["INSTRUCTION"].format(input=question.text, round=number)
        if number == 1 and system:
            asked = template["SYSTEM"].format(system=system) + asked
        if number == 1 or not own_end:
            yield _Piece(bos)
        for place, text in enumerate(asked.split(IMAGE_PLACEHOLDER)):
            if place:
                yield _Piece([IMAGE_TOKEN_INDEX])
            yield _Piece(text)
        yield _Piece(answer.text + (template.get("SUFFIX") or ""), learnt=True)
        if not own_end:
            yield _Piece(eos, learnt=True)
        yield _Piece(template.get("SEP") or "")
