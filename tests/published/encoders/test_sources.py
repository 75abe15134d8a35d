"""Sources that several rows cite, and the names of all rows."""

from pathplugins.published.encoders import CARDS
from pathplugins.published.encoders.sources import MODEL_CARD, TRIDENT, agreed, as_trident, non_commercial


def test_a_licence_that_two_sources_state_names_both() -> None:
    licence = agreed("MIT")
    assert (licence.shown, licence.contradicted) == ("MIT", False)
    assert [statement.by for statement in licence.statements] == [MODEL_CARD, TRIDENT]
    assert non_commercial().shown == "CC-BY-NC-ND-4.0"


def test_trident_s_frames_are_at_20x() -> None:
    assert (as_trident(512).patch_px, as_trident(512).mpp, as_trident(512).by) == (512, 0.5, TRIDENT)


def test_names_and_hub_files_are_unique() -> None:
    names = [card.name for card in CARDS]
    files = [(card.hub_id, card.hub_file) for card in CARDS if card.hub_id]
    assert len({*names}) == len(names) >= 20
    assert len({*files}) == len(files)
