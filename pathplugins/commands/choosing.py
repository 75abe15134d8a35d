"""Choosing by likelihood: of the choices that a question lists, the one whose words the model finds likeliest.

Nothing is generated, so every question has an answer that can be read. For each choice the mean of ``-log p`` over its
own tokens is taken, those that follow the prompt in training, without what ends an answer; the lowest wins. The source
is ANTONI-Alpha's multiple choice (c33bf99), which looks for a choice's tokens in the text; here their place is known.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.prompting import before_answer
from pathplugins.core.errors import PathPluginsError

if TYPE_CHECKING:
    from torch import Tensor

_KEEP = ("logits_to_keep", "num_logits_to_keep")
"""How many of the last positions a language model gives scores for; the second is its name up to Transformers 4.49."""
_IGNORED = -100


def likeliest(losses: Mapping[str, float]) -> str:
    """Return the letter of the lowest mean; the first of several that are equal."""
    return min(losses, key=lambda letter: losses[letter])


def choice_losses(
    model: LoadedModel, inputs: Mapping[str, Any], prompt: str, images: Sequence[str], options: Mapping[str, str]
) -> dict[str, float]:
    """Return letter -> mean of ``-log p`` of the tokens of that choice.

    Args:
        model: of `load_model`.
        inputs: of the prompt alone, a batch of one, as the model's processor makes them.
        prompt: see `pathplugins.commands.prompting`.
        images: of the prompt.
        options: letter -> text of each choice.

    Raises:
        PathPluginsError: a choice holds no token.
    """
    import torch

    from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS, take_images

    asked, processor = inputs["input_ids"][0], model.processor
    counts = processor.sample_tokens(images)
    told = {letter: _tokens(processor, asked, prompt, text, counts) for letter, text in options.items()}
    if empty := [letter for letter, ids in told.items() if not len(ids)]:
        raise PathPluginsError(f"choice {empty[0]} ({options[empty[0]]!r}) holds no token; correct the question")
    longest = max(map(len, told.values()))
    rows = [torch.cat([asked, ids, ids.new_zeros(longest - len(ids))]) for ids in told.values()]
    seen = [[1] * (len(asked) + len(ids)) + [0] * (longest - len(ids)) for ids in told.values()]
    vision = {name: inputs[name] for name in VISION_INPUTS if inputs.get(name) is not None}
    batch = take_images(vision, [*range(len(images))] * len(told))
    batch |= {"input_ids": torch.stack(rows), "attention_mask": torch.tensor(seen)}
    batch = {name: value.to(model.model.device) for name, value in batch.items()}
    with torch.inference_mode():
        scores = _scores(model.model, batch, len(asked), longest)
    return {
        letter: _mean_loss(scores[row, : len(ids)], ids.to(scores.device))
        for row, (letter, ids) in enumerate(told.items())
    }


def _scores(model: Any, batch: dict[str, Any], prompt: int, longest: int) -> Tensor:
    """Return the scores [choices, longest, V] that the model gives at the places of the choices' tokens."""
    import torch

    if model.config.use_prefix_lm_mask:  # else a choice would see itself, as part of the prompt
        ids, seen = batch["input_ids"], batch["attention_mask"].bool()
        labels = torch.where(seen, ids, _IGNORED)
        labels[:, :prompt] = _IGNORED
        return model(**batch, labels=labels).logits[:, prompt - 1 : -1]
    takes = inspect.signature(model._causal.forward).parameters
    keep = {name: longest + 1 for name in _KEEP if name in takes}
    return model(**batch, **keep).logits[:, -longest - 1 : -1]  # of all positions they would be gigabytes


def _mean_loss(scores: Tensor, ids: Tensor) -> float:
    """Return the mean of ``-log p`` of tokens [n] by scores [n, V]."""
    import torch.nn.functional as F

    return F.cross_entropy(scores.float(), ids).item()


def _tokens(processor: Any, asked: Tensor, prompt: str, text: str, counts: Sequence[int]) -> Tensor:
    """Return the ids of a choice behind its prompt, as generation and training have them."""
    import torch

    text = before_answer(processor.tokenizer) + text.strip()
    whole = processor.text_inputs([prompt + text], [counts])["input_ids"][0]
    if torch.equal(whole[: len(asked)], asked):
        return whole[len(asked) :]
    # The vocabulary joins the end of the prompt with the answer, which generation cannot.
    return torch.tensor(processor.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=asked.dtype)
