"""Read answers: the words, letter or label that a model's free text says. Nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pathplugins.data.choices import letter

_ARTICLES = {"a", "an", "the"}
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {"none": "0", **{word: str(number) for number, word in enumerate(_WORDS)}}
_NEGATIONS = "no|not|non|nor|neither|never|without|cannot|cant|isnt|doesnt"

# "a" and, at the beginning or after "is", "A" before a word may be the article: there they are no letter.
_LEADING_LETTER = re.compile(r"[(\"'*]*([A-Za-z](?=[\"'*]*\s*(?:[).:,\n]|$))|[B-Z](?=\s))")
_NAMED_LETTER = re.compile(
    r"\b(?i:answer|option|choice)(?i:\s+is)?\s*[:=]?\s*[(\"'*]*"
    r"([B-Z](?![\w'])|A(?![\w'])(?<!is A)|A(?![\w']| [a-z])|[a-z](?=[\"'*]*\s*(?:[).:,]|$)))"
)
_OPTION_LINE = re.compile(r"^[ \t]*\(?([A-Z])\s*[).:][ \t]*(\S.*)$", re.MULTILINE)
_OPTION_INLINE = re.compile(r"(?<!\S)\(?([A-Z])\s*[):]\s*(\S.*?)(?=[\s,;]+\(?[A-Z]\s*[):]|$)", re.DOTALL)


def normalise(answer: str) -> str:
    """Normalise an answer: lower case, single blanks, no punctuation and articles, numbers to ten in figures.

    Answers are compared like this in VQA. Apostrophes and the commas of ``1,000`` vanish, the point of ``0.5`` stays,
    other marks separate words (``x-ray``: ``x ray``). An answer without any word stays as it is, in lower case.
    """
    lowered = re.sub(r"['’`]|(?<=\d),(?=\d)", "", answer.lower())
    words = re.sub(r"[^\w\s%&.]|_|(?<!\d)\.|\.(?!\d)", " ", lowered).split()
    kept = [_NUMBERS.get(word, word) for word in words if word not in _ARTICLES]
    return " ".join(kept) or " ".join(answer.lower().split())


def is_closed(answer: str) -> bool:
    """Return whether the question of this right answer asks for yes or no; PathVQA does not say."""
    return normalise(answer) in ("yes", "no")


def token_recall(answer: str, prediction: str) -> float:
    """Return the share of the words of the right answer that the prediction has."""
    wanted = {*normalise(answer).split()}
    return len(wanted & {*normalise(prediction).split()}) / len(wanted)


def find_label(answer: str, labels: Sequence[str]) -> int | None:
    """Find the label that an answer names: the same text, else the only one it holds as whole words; None if neither.

    A label inside a longer one (``carcinoma`` in ``squamous carcinoma``) does not count. Where "no", "not" or the like
    stands up to three words before a label the answer is not taken to name any.
    """
    said, names = normalise(answer), [normalise(label) for label in labels]
    if names.count(said) == 1:
        return names.index(said)
    found = []
    for index in sorted(range(len(names)), key=lambda index: -len(names[index])):
        pattern = rf"(?<!\S)(?:(?:{_NEGATIONS})(?P<denied> )(?:\S+ ){{0,2}})?{re.escape(names[index])}(?!\S)"
        matches = [*re.finditer(pattern, said)]
        if any(match["denied"] for match in matches):
            return None
        if matches:
            found.append(index)
            said = re.sub(pattern, "|", said)
    return found[0] if len(found) == 1 and names.count(names[found[0]]) == 1 else None


def options_in(question: str) -> dict[str, str]:
    """Read the choices that a question lists from A on, one a line or in one line (``A: x B: y``): letter -> text.

    Among several such lists the longest counts, and the last of these.
    """
    for pattern in (_OPTION_LINE, _OPTION_INLINE):
        lists: list[dict[str, str]] = [{}]
        for found in pattern.finditer(question):
            if found[1] == "A":
                lists.append({})
            if found[1] == letter(len(lists[-1])):
                lists[-1][found[1]] = found[2].strip()
        longest = max(reversed(lists), key=len)
        if len(longest) > 1:
            return longest
    return {}


def parse_choice(answer: str, options: Mapping[str, str]) -> str | None:
    """Find the letter an answer means: ``B``, ``B)``, ``B: benign``, ``The answer is B`` or B's text; None if unclear.

    Two letters, or a letter beside the text of another choice, are unclear.
    """
    text, letters = answer.strip().rstrip("."), list(options)
    for name, option in options.items():
        if re.fullmatch(rf"\(?{name}[).:\s]+{re.escape(option.rstrip('.'))}", text, re.IGNORECASE):
            return name
    same = [name for name in letters if options[name].rstrip(".").casefold() == text.casefold()]
    if len(same) == 1:
        return None if {text.upper()} & {*options} - {*same} else same[0]  # choices may be letters themselves
    named = find_label(text, list(options.values()))
    leading = _LEADING_LETTER.match(text)
    found = [leading[1]] if leading and leading[1].upper() in options else _NAMED_LETTER.findall(text)
    said = [name for name in dict.fromkeys(map(str.upper, found)) if name in options]
    if not said:
        return None if named is None else letters[named]
    unclear = len(said) > 1 or (named is not None and letters[named] != said[0])
    return None if unclear else said[0]
