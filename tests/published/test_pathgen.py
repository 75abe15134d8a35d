"""Repositories of PathGen and their terms."""

import pytest

from pathplugins.published.pathgen import GDC_TERMS, LLAVA_WEIGHTS, REPOSITORIES


@pytest.mark.parametrize("name", [*REPOSITORIES, "llava"])
def test_terms_name_repository_licence_source_and_address(name: str) -> None:
    row = REPOSITORIES.get(name, LLAVA_WEIGHTS)
    first, address = row.terms().split("\n")
    assert first.startswith(f"{row.repository}: ")
    assert all(statement.says in first and statement.by in first for statement in row.licence.statements)
    assert ("accept its conditions" in first) == row.gated
    assert address.strip() == row.source
    assert ("/datasets/" in address) == (row.kind == "dataset")


def test_what_the_authors_say_of_the_data_is_in_every_terms() -> None:
    """The hub tags some of it cc-by-4.0, which is wider."""
    assert all("non-commercial" in row.terms() for row in REPOSITORIES.values())
    assert "the sources differ" in REPOSITORIES["captions"].terms()
    assert GDC_TERMS.splitlines()[-1].strip().startswith("https://")
