"""CTransPath: the row builds the model it describes."""

from encoder_rows import check_row

from pathplugins.published.encoders.ctranspath import CTRANSPATH


def test_the_row_builds_the_model_it_describes() -> None:
    (card,) = CTRANSPATH
    check_row(card, 27.5e6)  # as LazySlide counts
    assert (card.frame.mpp, card.local_only) == (1.0, True)
