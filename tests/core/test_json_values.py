import pytest

from pathplugins.core.json_values import parse_json


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000, '{"a":' * 100_000, "9" * 5000])
def test_whatever_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_json(text)


def test_values_are_those_of_json() -> None:
    assert parse_json(b'{"a": [1, null, "\xc3\xa9"]}') == {"a": [1, None, "é"]}
