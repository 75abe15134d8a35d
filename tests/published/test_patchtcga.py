"""Facts of PatchTCGA's data sets."""

from pathplugins.published.patchtcga import CANCERS, DATASETS, ORGAN_OF, ORGANS, TISSUES


def test_24_folders_are_20_classes() -> None:
    assert len(ORGAN_OF) == 24
    assert {*ORGAN_OF.values()} == {*range(20)} == {*range(len(ORGANS))}
    assert len({*ORGANS}) == 20
    shared = {label: {f for f in ORGAN_OF if ORGAN_OF[f] == label} for label in (1, 6)}
    assert shared == {1: {"bile_liver", "liver"}, 6: {"colon", "rectosigmoid", "rectum", "small_intestine"}}


def test_a_class_of_one_folder_is_called_alike() -> None:
    """Read side by side: a table shifted by one row would show here."""
    ours = {"cervix_uteri": "cervix", "corpus_uteri": "body of the uterus", "lymphnode": "lymph node"}
    for folder, label in ORGAN_OF.items():
        if label not in (1, 6):
            assert ORGANS[label] == ours.get(folder, folder.replace("_", " "))


def test_sizes_and_terms() -> None:
    for kind, dataset in DATASETS.items():
        assert dataset.kind == kind == dataset.name.casefold()
        assert dataset.licence.shown in dataset.terms()
    assert {d.patch_px * d.mpp for d in DATASETS.values() if d.patch_px == 512} == {512 * 0.39}
    assert "NIH" in DATASETS["ptcga200"].terms()
    assert "non-commercial" in DATASETS["segpanda200"].terms()
    assert [TISSUES[label] for label in CANCERS] == ["Gleason 3", "Gleason 4", "Gleason 5"]
