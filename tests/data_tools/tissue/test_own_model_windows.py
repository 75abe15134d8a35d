"""Models of the user's own: the same mask from TorchScript and ONNX, in windows that meet without seams."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tissue_models import write_card, write_onnx, write_torchscript

from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.tissue.detect import Detection, TissueSpec
from pathplugins.data_tools.tissue.on_slide import tissue_on_slide
from pathplugins.data_tools.tissue.own_model import read_own_model

pytest.importorskip("openslide")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Glass of 1.5 x 1.1 mm at 1 um/px with a box of stain and a box of green ink."""
    path = tmp_path_factory.mktemp("picture") / "p.png"
    image = Image.new("RGB", (1503, 1101), (243, 242, 244))
    image.paste((205, 110, 180), (200, 160, 1000, 840))
    image.paste((20, 160, 60), (1100, 80, 1400, 880))
    image.save(path)
    return path


def found(model: Path, picture: Path, **spec: float) -> Detection:
    pytest.importorskip("onnxruntime" if model.suffix == ".onnx" else "torch")
    with Slide(picture) as slide:
        return tissue_on_slide(slide, 1.0, TissueSpec(model=read_own_model(model), **spec), (275, 376))


@pytest.mark.parametrize("write", [write_torchscript, write_onnx])
def test_the_model_decides_what_is_tissue_and_counts_artefacts(
    write: Callable[[Path], Path], picture: Path, tmp_path: Path
) -> None:
    detection = found(write(tmp_path / ("m.onnx" if write is write_onnx else "m.pt")), picture)
    wanted = np.zeros((275, 376), bool)
    wanted[40:210, 50:250] = True
    assert np.mean(detection.mask != wanted) < 0.01
    assert detection.mask[45:205, 55:245].all()  # no seams
    assert detection.artefacts == {"pen": pytest.approx(300 * 800 / (1503 * 1101), rel=0.05)}
    assert detection.areas().in_words() == "33% of the area is tissue, 15% pen"


def test_a_coarser_and_a_finer_model_than_the_mask(picture: Path, tmp_path: Path) -> None:
    for mpp in (2.0, 20.0):
        model = write_torchscript(tmp_path / f"{mpp}.pt")
        write_card(model, mpp=mpp)
        assert found(model, picture).mask.mean() == pytest.approx(0.33, abs=0.02)


def test_another_model_or_description_counts_as_other_settings(picture: Path, tmp_path: Path) -> None:
    model = write_torchscript(tmp_path / "m.pt")
    before = TissueSpec(model=read_own_model(model)).settings()
    assert json.loads(json.dumps(before))["model"] == read_own_model(model).sha256[:12]
    moved = tmp_path / "elsewhere.pt"
    moved.write_bytes(model.read_bytes())
    moved.with_suffix(".json").write_bytes(model.with_suffix(".json").read_bytes())
    assert TissueSpec(model=read_own_model(moved)).settings() == before
    write_card(model, mpp=7.0)
    assert TissueSpec(model=read_own_model(model)).settings() != before
