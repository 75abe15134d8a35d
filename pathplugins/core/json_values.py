"""Parse JSON that a user gives: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Parse one JSON value.

    Raises:
        ValueError: it is none; `json.loads` itself raises RecursionError for one that is nested some 1,000 times.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
