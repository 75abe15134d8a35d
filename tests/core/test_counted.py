import pytest

from pathplugins.core.counted import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "slide", "1 slide"),
        (0, "slide", "0 slides"),
        (2, "bad row", "2 bad rows"),
        (1, "patch", "1 patch"),
        (3, "patch", "3 patches"),
        (4, "class", "4 classes"),
        (2, "pixel box", "2 pixel boxes"),
    ],
)
def test_the_noun_goes_with_the_number(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said
