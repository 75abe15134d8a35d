"""Licences with their sources."""

from pathplugins.published.licence import Licence, Statement, stated


def test_sources_that_differ_are_both_told_with_a_warning() -> None:
    two = Licence(shown="A-NC", statements=(Statement(says="A-NC", by="card"), Statement(says="A", by="README")))
    assert two.contradicted
    assert (
        two.explained() == "A-NC (card); A (README); the sources differ: keep to the narrower one, or ask the authors"
    )


def test_sources_that_agree_but_for_capitals_need_no_warning() -> None:
    same = Licence(shown="MIT", statements=(Statement(says="MIT", by="card"), Statement(says="mit", by="tag")))
    assert not same.contradicted
    assert same.explained() == "MIT (card); mit (tag)"
    assert stated("MIT", "card").explained() == "MIT (card)"
    assert Licence(shown="not stated").explained() == "not stated (nobody states it)"
