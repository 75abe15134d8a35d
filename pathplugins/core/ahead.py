"""Results of a function over many items, in order, computed in a pool that holds few of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
AHEAD = 256  #: items submitted and not yet given out; ``Executor.map`` would submit a million at once


def in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = AHEAD
) -> Iterator[Result]:
    """Give ``function(item)`` of every item, in their order; an error of one is raised in its place.

    Args:
        pool: computes them.
        function: of one item.
        items: taken ``ahead`` of the one that is given out, and no sooner.
        ahead: how many.
    """
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
