"""Explaining: which vision tokens a language model attended to while it said each word of an answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pathplugins.commands.answering import check_length
from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.prompting import before_answer, check_text
from pathplugins.core.errors import PathPluginsError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pathplugins.commands.token_places import Box, TokenPlaces
    from pathplugins.models.custom_llava.opened_image import OpenedImage


class Explanation(NamedTuple):
    """Where a model looked while it said an answer of W words, among V vision tokens.

    A weight is attention: the mean over all layers and heads of the language model, at the positions where the tokens
    of the word were predicted, given the prompt and the answer up to there. Attention says what was read, not what
    decided (Jain and Wallace, "Attention is not Explanation", NAACL 2019): a model may look at a patch and say what it
    would have said without it. Language models also leave much attention on tokens that hold nothing ("sinks", Xiao et
    al., ICLR 2024). The greatest, the first token of the text, is left out by counting vision tokens alone; one among
    those is bright for every word.
    """

    words: list[str]
    """[W] the answer between its blanks."""
    weights: np.ndarray
    """[W, V] float32, each row adds up to 1: how the attention to the picture is shared among its tokens."""
    looked: np.ndarray
    """[W] float32 from 0 to 1: how much of all attention went to the picture; the rest went to the text."""
    places: TokenPlaces
    """Where the tokens lie, and what the selector made of the patches."""

    @property
    def answer_weights(self) -> np.ndarray:
        """[V] float32: mean of the rows of all words."""
        return self.weights.mean(0)

    @property
    def patches(self) -> list[Box | None]:
        """[V] level-0 box of each vision token; None of one that is no place, as the slide's CLS token."""
        return self.places.boxes


def explain(
    model: LoadedModel, opened: OpenedImage, prompt: str, answer: str, *, slide: Path | None = None
) -> Explanation:
    """Read an answer as if the model had said it, and see where it looked for each of its words.

    Args:
        model: of `load_model`.
        opened: of `open_file`, with the same model.
        prompt: with one ``<image>``, as for `pathplugins.commands.answering.answer`.
        answer: what the model said, or anything else that it is made to say.
        slide: the slide of a bag, where the bag stores microns and not the size of a pixel.

    Raises:
        PathPluginsError: the answer is empty or longer than the language model reads, its tokens have no place
            (`token_places`), or the language model does not show its attention, or shows none to the picture.
    """
    import numpy as np

    from pathplugins.commands.token_places import token_places
    from pathplugins.models.custom_llava.answer_attention import answer_attention

    places = token_places(model, opened, prompt, slide=slide)
    inputs = opened.inputs(prompt)
    tokens = _answer_tokens(model, opened, inputs["input_ids"][0], prompt, answer)
    check_length(model, inputs["input_ids"].shape[1] + len(tokens), hint="give a shorter one")
    words = _words(model.processor.tokenizer, tokens.tolist())
    attention = answer_attention(model.model, inputs, tokens).cpu().numpy()  # [A, V]
    rows = np.stack([attention[owned].mean(0) for _, owned in words])  # [W, V]
    looked = rows.sum(1)
    if not (looked > 0).all():
        blind = words[int((looked > 0).argmin())][0]
        raise PathPluginsError(
            f"the language model pays no attention to the picture when it says {blind!r}: its window ends "
            "behind the picture, so there is nothing to draw"
        )
    return Explanation([word for word, _ in words], rows / looked[:, None], looked, places)


def _answer_tokens(model: LoadedModel, opened: OpenedImage, prompt_ids: Tensor, prompt: str, answer: str) -> Tensor:
    """Return the ids [A] of an answer behind its prompt, as generation and training have them."""
    import torch

    if not answer.strip():
        raise PathPluginsError("the answer is empty: nothing was said, so there is nothing to look into")
    check_text(answer)
    tokenizer: Any = model.processor.tokenizer
    text = before_answer(tokenizer) + answer.strip()
    whole = opened.inputs(prompt + text)["input_ids"][0]
    if torch.equal(whole[: len(prompt_ids)], prompt_ids):
        return whole[len(prompt_ids) :]
    # The vocabulary joins the end of the prompt with the answer, which generation cannot.
    return torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"], device=prompt_ids.device)


def _words(tokenizer: Any, ids: list[int]) -> list[tuple[str, list[int]]]:
    """Return what stands between the blanks of an answer, and the places in ``ids`` of the tokens each is made of."""
    said, owners, first = "", [], 0
    for place in range(len(ids)):
        text = tokenizer.decode(ids[: place + 1], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if place + 1 < len(ids):
            text = text.rstrip("\ufffd")  # a character that the next token completes
        if len(text) > len(said):
            owners += [range(first, place + 1)] * (len(text) - len(said))
            said, first = text, place + 1
    found = [
        (match.group(), sorted({place for owned in owners[match.start() : match.end()] for place in owned}))
        for match in re.finditer(r"\S+", said)
    ]
    if not found:
        raise PathPluginsError("the answer holds nothing but special tokens, so there is nothing to look into")
    return found
