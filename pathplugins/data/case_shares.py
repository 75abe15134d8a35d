"""How a budget of rows is shared over the slides of a case, so that no slide vanishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from pathplugins.core.errors import PathPluginsError

Shares = Literal["even", "in_order"]


def case_shares(rows: Sequence[int], budget: int | None, shares: Shares = "even") -> list[int]:
    """Return how many rows of each slide of a case are read: all where they fit, else as many as ``budget`` in all.

    Args:
        rows: of each slide, in their order.
        budget: of the whole case; None for no limit.
        shares: ``even`` keeps small slides whole and gives large ones as many rows as each other; ``in_order`` fills
            the budget slide by slide, and leaves a row for every slide behind. PathoSynVLM fills it so, too, but loses
            the slides behind.

    Raises:
        PathPluginsError: there are more slides than rows in the budget.
    """
    if shares not in get_args(Shares):
        raise PathPluginsError(f"case_shares is {shares!r}, expected one of {', '.join(get_args(Shares))}")
    if budget is None or sum(rows) <= budget:
        return [*rows]
    if len(rows) > budget:
        raise PathPluginsError(
            f"a case has {len(rows)} slides, patches_per_case leaves {budget} rows for all of them; raise it"
        )
    taken, left = [0] * len(rows), budget
    order = sorted(range(len(rows)), key=rows.__getitem__) if shares == "even" else range(len(rows))
    for done, slide in enumerate(order):
        behind = len(rows) - done - 1
        most = left // (behind + 1) if shares == "even" else left - behind
        taken[slide] = min(rows[slide], most)
        left -= taken[slide]
    return taken
