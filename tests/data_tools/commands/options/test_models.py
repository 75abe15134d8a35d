"""Model options: each reaches the choice of the encoder or CLIP, and the making of features."""

import argparse
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.models import (
    ClipOptions,
    EncodingOptions,
    add_clip_options,
    add_encoding_options,
)


def encoding(*words: str) -> EncodingOptions:
    parser = argparse.ArgumentParser()
    add_encoding_options(parser)
    return read_options(parser.parse_args(["--encoder", "uni", *words]), EncodingOptions)


def test_the_encoder() -> None:
    choice = encoding("--weights", "w.pth", "--device", "cuda:1").choice()
    assert (choice.name, choice.weights, choice.device) == ("uni", Path("w.pth"), "cuda:1")
    assert (choice.random_seed, choice.download) == (None, False)
    assert encoding("--random-weights", "7").choice().random_seed == 7
    assert encoding("--download").choice().download


def test_one_origin_of_weights(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        encoding("--download", "--random-weights", "7")
    assert "not allowed with" in capsys.readouterr().err


def test_the_features() -> None:
    features = encoding("--batch-size", "7", "--readers", "3", "--dtype", "float32").features(Path("moved"))
    assert (features.batch_size, features.readers, features.dtype) == (7, 3, "float32")
    assert features.slides_folder == Path("moved")
    with pytest.raises(PathPluginsError, match="--batch-size must be at least 1, got 0"):
        encoding("--batch-size", "0").features()


def test_the_clip() -> None:
    parser = argparse.ArgumentParser()
    add_clip_options(parser)
    args = parser.parse_args(["--clip", "w.pt", "--clip-arch", "ViT-B-16", "--device", "cpu", "--batch-size", "5"])
    choice = read_options(args, ClipOptions).choice()
    assert (choice.path, choice.arch, choice.device, choice.batch_size) == (Path("w.pt"), "ViT-B-16", "cpu", 5)
