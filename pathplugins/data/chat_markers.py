"""Chat markers: the special tokens by which the chat template of one family of language models is known."""

from __future__ import annotations

from collections.abc import Container

MARKERS: dict[str, tuple[str, ...]] = {
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "qwen": ("<|im_start|>", "<|im_end|>"),
    "gemma": ("<start_of_turn>", "<end_of_turn>"),
    "phi": ("<|end|>",),
}
"""Family -> tokens that its tokenizers have whole. Vicuna's and Mistral's templates are plain words.

Only tokens that no template writes as plain words: ``<|user|>`` is a token of Phi and seven pieces of text to Zephyr.
"""


def absent_markers(template: str, vocabulary: Container[str]) -> list[str]:
    """Return the markers that ``template`` writes and ``vocabulary`` lacks.

    A model that never saw a marker reads it as pieces of text, or as a token without a row in its embedding.

    Args:
        template: everything a chat template writes, in any order.
        vocabulary: tokens of the tokenizer, added ones included.
    """
    known = [marker for markers in MARKERS.values() for marker in markers]
    return [marker for marker in known if marker in template and marker not in vocabulary]


def families(vocabulary: Container[str]) -> list[str]:
    """Return the families whose markers are all in ``vocabulary``."""
    return [name for name, markers in MARKERS.items() if all(marker in vocabulary for marker in markers)]
