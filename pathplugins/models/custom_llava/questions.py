"""The question to an image: what the user says around its placeholder, found in the token ids themselves.

The ids are the same in training, evaluation, chat and generation, in both trainers, so the question is too: no system
prompt, no placeholder, no answer, no padding. A turn ends at a special token or at one of the words by which chat
templates without special tokens hand over to the assistant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ENDS = ("ASSISTANT:", "Assistant:", "[/INST]", "<|assistant|>", "### Response:", "<|Bot|>:", "<｜Assistant｜>")
"""Where the user's turn ends, of templates without special tokens there."""
STARTS = ("USER:", "Human:", "[INST]", "<|user|>", "### Instruction:", "<|User|>:", "<｜User｜>")
_BEFORE = ("", " ", "\n", "a ", "a\n")
"""What may stand before such a word: tokenizers join the blank, or the line break, with it."""

Marks = dict[str, list[Any]]


def question_marks(tokenizer: Any) -> Marks:
    """Return how turns are told apart in the ids of ``tokenizer``, for ``config.json``.

    Returns:
        ``special``: [first, last] ranges of special tokens; ``starts``, ``ends``: sequences of ids; ``blank``: ids of
        white space, which is cut off a question's ends.
    """

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def spellings(words: Sequence[str]) -> list[list[int]]:
        found = set()
        for word in words:
            for before in _BEFORE:
                ids, head = encode(before + word), encode(before)
                found.add(tuple(ids[len(head) :] if ids[: len(head)] == head else ids))
        return sorted([list(ids) for ids in found])

    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    blank = {i for text in ("\n", "\n\n", " ", " \n", "a\n", "a\n\n") for i in encode(text)}
    return {
        "special": _ranges(special | set(tokenizer.all_special_ids)),
        "starts": spellings(STARTS),
        "ends": spellings(ENDS),
        "blank": sorted(i for i in blank if not tokenizer.decode([i]).strip()),
    }


def find_questions(
    ids: Sequence[int], seen: Sequence[int], image_token_id: int, images: Sequence[int], marks: Marks
) -> list[list[int]]:
    """Return the question to every image of one sample.

    It is the text after the image up to the end of the turn, further placeholders left out; where nothing follows, the
    text of the same turn before it. Each turn with images has its own.

    Args:
        ids: tokens of the sample.
        seen: attention mask; an image behind it, which stands in for none, has no question.
        image_token_id: the placeholder.
        images: placeholders of each image, in order; those of one stand together.
        marks: of `question_marks`.

    Raises:
        ValueError: the turn never ends, or the user says nothing.
    """
    ids, found, behind = list(ids), [], 0
    for count in images:
        first = ids.index(image_token_id, behind) if count else behind
        behind = first + count
        if not count or not seen[first]:
            found.append([])
            continue
        end = _end(ids, behind, image_token_id, marks)
        if end is None:
            raise ValueError(
                "prompt_topk found no end of the user's turn behind an image: it ends at a special token or at one of "
                f"{', '.join(ENDS)}; was the text cut by cutoff_len (max_length), or has the template other words?"
            )
        question = _stripped(ids[behind:end], image_token_id, marks)
        if not question:
            question = _stripped(ids[_start(ids, first, image_token_id, marks) : first], image_token_id, marks)
        if not question:
            raise ValueError(
                "prompt_topk needs a question to every image, and a turn of the user holds nothing but images; choose "
                "another vision_feature_select_mode for captions"
            )
        found.append(question)
    return found


def question_problem(ids: Sequence[int], image_token_id: int, images: Sequence[int], marks: Marks) -> str | None:
    """Say what is wrong with the questions of a sample that is about to be trained on; None if nothing is."""
    try:
        find_questions(ids, [1] * len(ids), image_token_id, images, marks)
    except ValueError as error:
        return str(error)
    return None


def _end(ids: Sequence[int], place: int, image: int, marks: Marks) -> int | None:
    for here in range(place, len(ids)):
        if ids[here] != image and (_is_special(ids[here], marks) or _mark_at(ids, here, marks["ends"])):
            return here
    return None


def _start(ids: Sequence[int], place: int, image: int, marks: Marks) -> int:
    for here in range(place - 1, -1, -1):
        if ids[here] == image:
            continue
        if _is_special(ids[here], marks):
            return here + 1
        if length := _mark_at(ids, here, marks["starts"]):
            return here + length
    return 0


def _mark_at(ids: Sequence[int], place: int, spellings: Sequence[Sequence[int]]) -> int:
    """Return the length of the longest of ``spellings`` that stands at ``place``; 0 for none."""
    return max((len(s) for s in spellings if list(ids[place : place + len(s)]) == list(s)), default=0)


def _is_special(token: int, marks: Marks) -> bool:
    return any(first <= token <= last for first, last in marks["special"])


def _stripped(ids: Sequence[int], image: int, marks: Marks) -> list[int]:
    text, blank = [token for token in ids if token != image], marks["blank"]
    while text and text[0] in blank:
        text.pop(0)
    while text and text[-1] in blank:
        text.pop()
    return text


def _ranges(values: set[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for value in sorted(values):
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1][1] = value
        else:
            ranges.append([value, value])
    return ranges
