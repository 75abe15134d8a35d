"""The legend stands below the picture, in lines that fit."""

import numpy as np
from PIL import Image

from pathplugins.data_tools.pictures.legend import KEPT, LINE_PX, NARROWEST_PX, NOT_KEPT, SHADE, with_legend


def legend(size: tuple[int, int], text: str, scores: np.ndarray | None = None) -> np.ndarray:
    picture = Image.new("RGB", size, (1, 2, 3))
    whole = np.asarray(with_legend(picture, text, scores, "cosine", 0.1))
    assert np.array_equal(whole[: size[1], : size[0]], np.asarray(picture))
    return whole[size[1] :]


def test_a_narrow_picture_gets_room_for_its_legend() -> None:
    assert legend((61, 43), "few words").shape[1] == NARROWEST_PX
    assert legend((1411, 43), "few words").shape[1] == 1411


def test_each_line_of_text_takes_a_line_and_four_are_the_most() -> None:
    one, two, most = (len(legend((61, 43), "word " * count)) for count in (1, 20, 2000))
    assert one < two
    assert most == one + 3 * LINE_PX
    assert len(legend((61, 43), "x" * 3000)) == most  # a word longer than a line is broken, too


def test_without_scores_both_kinds_of_patches_are_explained() -> None:
    pixels = legend((61, 43), "text").reshape(-1, 3)
    grey = np.round(255 + (np.array(NOT_KEPT) - 255.0) * SHADE)
    assert (pixels == KEPT).all(axis=1).any()
    assert (pixels == grey).all(axis=1).any()


def test_with_scores_the_colours_are_explained() -> None:
    plain, coloured = legend((61, 43), "text"), legend((61, 43), "text", np.linspace(-1, 1, 50))
    assert len(coloured) == len(plain) + LINE_PX  # lowest and highest score in words
    hues = [len(np.unique(strip[np.ptp(strip, axis=-1) > 30], axis=0)) for strip in (plain, coloured)]
    assert hues[1] > hues[0] + 50
