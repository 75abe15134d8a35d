from pathlib import Path

import pytest
from tissue_models import write_card

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tissue.own_model import ModelCard, read_own_model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mpp": 0}, "mpp is above 0"),
        ({"size": 8}, "at least 16"),
        ({"mean": [0.5]}, "three numbers each"),
        ({"std": [1, 0, 1]}, "no zeros"),
        ({"output": "mask"}, "output is one of"),
        ({"output": "logit"}, "two classes"),
        ({"tissue": ["epithelium"]}, r"names of classes \(background, .*\), got epithelium"),
        ({"artefacts": ["tissue"]}, "both tissue and an artefact"),
        ({"resolution": 4}, r"unknown: \['resolution'\]"),
    ],
)
def test_descriptions_are_judged(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    write_card(tmp_path / "m.onnx", **changes)
    with pytest.raises(PathPluginsError, match=rf"m\.json.*{message}.*correct the description"):
        read_own_model(tmp_path / "m.onnx")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="no such file"):
        read_own_model(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(PathPluginsError, match=r"no description m\.json beside it"):
        read_own_model(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text("{}")
    with pytest.raises(PathPluginsError, match=r"missing: \['mpp', 'size'\]"):
        read_own_model(tmp_path / "m.onnx")
    (tmp_path / "m.h5").write_bytes(b"")
    with pytest.raises(PathPluginsError, match="export it as ONNX"):
        read_own_model(tmp_path / "m.h5")


def test_two_classes_are_the_default() -> None:
    assert ModelCard(mpp=10, size=512).classes == ("background", "tissue")
