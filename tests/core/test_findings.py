"""All checks are made, whatever the first has found."""

from __future__ import annotations

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.findings import Finding, any_wrong, findings


def test_all_are_made_and_only_our_errors_are_findings() -> None:
    def wrong() -> None:
        raise PathPluginsError("two keys")

    def broken() -> None:
        raise KeyError("a fault of ours")

    found = findings([("keys", wrong), ("paths", lambda: None)])
    assert found == [Finding("keys", "two keys"), Finding("paths")]
    assert any_wrong(found)
    assert not any_wrong(found[1:])
    with pytest.raises(KeyError):
        findings([("keys", broken)])
