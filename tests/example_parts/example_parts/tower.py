"""A tower for bags: each patch beside the average of its bag; imports torch only once it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathplugins.data.bags import BagContract
from pathplugins.models.towers.contract import Tower


def expects(options: Mapping[str, Any]) -> BagContract:
    """Features of any one encoder, at any position."""
    return BagContract(feature_dim=options["feature_dim"], grid=None)


TOWER = Tower(reads="bags", build_with="example_parts.network:build", expects_with=expects)
