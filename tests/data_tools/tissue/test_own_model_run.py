"""What a tissue model of the user's own gives, as its description says: scores, labels, a logit or a probability."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tissue_models import write_card, write_torchscript

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tissue.own_model import read_own_model
from pathplugins.data_tools.tissue.own_model_run import load_own_model

torch = pytest.importorskip("torch")

BATCH = np.zeros((2, 64, 64, 3), np.uint8)


def given(path: Path, numbers: torch.Tensor, **card: object) -> np.ndarray:
    """Return what is made of a model that always gives ``numbers``."""

    class Fixed(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return numbers + 0 * pixels.sum()

    torch.jit.trace(Fixed(), torch.zeros(2, 3, 64, 64)).save(str(path))
    write_card(path, **card)
    return load_own_model(read_own_model(path))(BATCH)


def test_labels_are_taken_as_they_are_and_must_be_known(tmp_path: Path) -> None:
    labels = torch.tensor([[[0, 1, 2]], [[2, 2, 0]]])
    for number, output in enumerate((labels, labels[:, None])):
        found = given(tmp_path / f"{number}.pt", output, output="labels")
        assert found.dtype == np.uint8
        assert np.array_equal(found, labels)
    with pytest.raises(PathPluginsError, match=r"gives labels 0(\.0)? to 3(\.0)?, its description has 3 classes"):
        given(tmp_path / "m.pt", labels + (labels == 2), output="labels")


@pytest.mark.parametrize(("output", "border"), [("logit", 0.0), ("probability", 0.5)])
@pytest.mark.parametrize("tissue_first", [False, True])
def test_one_number_is_that_of_tissue(output: str, border: float, tissue_first: bool, tmp_path: Path) -> None:
    classes = ["tissue", "glass"] if tissue_first else ["glass", "tissue"]
    numbers = border + torch.tensor([[[[-0.25, 0.25]]], [[[0.125, -0.125]]]])
    found = given(tmp_path / "m.pt", numbers, output=output, classes=classes, artefacts=[])
    assert found.dtype == np.uint8
    assert [[classes[i] for i in row.ravel()] for row in found] == [["glass", "tissue"], ["tissue", "glass"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "labels"}, r"m\.pt: gives \(2, 3, 64, 64\), its description says labels of 3 classes"),
        ({"classes": ["background", "tissue"], "artefacts": []}, "correct output or classes"),
    ],
)
def test_a_model_that_does_not_fit_its_description(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    model = write_torchscript(tmp_path / "m.pt")
    write_card(model, **changes)
    with pytest.raises(PathPluginsError, match=message):
        load_own_model(read_own_model(model))(BATCH)


@pytest.mark.parametrize(("name", "kind"), [("m.pt", "no TorchScript model"), ("m.onnx", "no ONNX model")])
def test_no_model_at_all(name: str, kind: str, tmp_path: Path) -> None:
    if name.endswith(".onnx"):
        pytest.importorskip("onnxruntime")
    (tmp_path / name).write_bytes(b"no model")
    write_card(tmp_path / name)
    with pytest.raises(PathPluginsError, match=kind):
        load_own_model(read_own_model(tmp_path / name))
