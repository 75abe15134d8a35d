"""Names of SlideChat's weights in the checkpoints of its XTuner: the part each belongs to, and ours."""

from __future__ import annotations

from typing import Literal

Part = Literal["slide encoder", "connector", "language model"]

TOWER, CONNECTOR, LANGUAGE_MODEL = "LongNet_encoder.", "projector.model.", "llm."
"""What stands before the names of each part."""
CONNECTOR_NAMES = {
    "0.weight": "linear_1.weight",
    "0.bias": "linear_1.bias",
    "2.weight": "linear_2.weight",
    "2.bias": "linear_2.bias",
}
"""Published name of a weight of the connector, without `CONNECTOR` -> ours."""


def part_of(name: str) -> tuple[Part, str] | None:
    """Return part and our name of a published tensor, None where the name is none of SlideChat's."""
    name = name.removeprefix("module.")
    if name.startswith(TOWER):
        return "slide encoder", name.removeprefix(TOWER)
    if (bare := name.removeprefix(CONNECTOR)) != name and bare in CONNECTOR_NAMES:
        return "connector", CONNECTOR_NAMES[bare]
    if name.startswith(LANGUAGE_MODEL):
        return "language model", name.removeprefix(LANGUAGE_MODEL)
    return None
