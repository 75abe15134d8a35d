import argparse
from pathlib import Path

import pytest
from tissue_models import write_onnx

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.tissue import TissueOptions, add_tissue_options
from pathplugins.data_tools.tissue.detect import TissueSpec
from pathplugins.data_tools.tissue.own_model import read_own_model


def options(*words: str) -> TissueOptions:
    parser = argparse.ArgumentParser()
    add_tissue_options(parser)
    return read_options(parser.parse_args(words), TissueOptions)


def test_defaults_are_those_of_the_spec() -> None:
    assert options().tissue() == TissueSpec()


def test_stain_and_pen() -> None:
    assert options("--stain", "trichrome", "--keep-pen").tissue() == TissueSpec(stain="trichrome", remove_pen=False)
    with pytest.raises(SystemExit):
        options("--stain", "giemsa")


def test_a_model_of_ones_own_decides_alone(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = str(write_onnx(tmp_path / "m.onnx"))
    assert options("--tissue-model", model).tissue().model == read_own_model(Path(model))
    with pytest.raises(PathPluginsError, match="leave --stain and --keep-pen out"):
        options("--tissue-model", model, "--keep-pen").tissue()
