"""OpenCLIP's names, shapes and activations."""

import pytest

open_clip = pytest.importorskip("open_clip")
import torch  # noqa: E402

from pathplugins.core.errors import PathPluginsError  # noqa: E402
from pathplugins.data_tools.clip.architectures import (  # noqa: E402
    check_published_file,
    fitting,
    model_config,
    shape_of_weights,
)


def test_shapes_of_the_published_checkpoints_are_those_of_their_architectures() -> None:
    shapes = {}
    for name in ("pathgen-clip", "pathgen-clip-l"):
        with torch.device("meta"):
            model = open_clip.CLIP(**model_config(name, "quick_gelu"))
        shapes[name] = fitting(shape_of_weights(model.state_dict()))
    assert shapes == {
        "pathgen-clip": ["ViT-B-16", "ViT-B-16-quickgelu"],
        "pathgen-clip-l": ["ViT-L-14-336", "ViT-L-14-336-quickgelu"],
    }


def test_the_activation_is_published_said_or_asked_for() -> None:
    assert model_config("pathgen-clip-l")["quick_gelu"] is True
    assert not model_config("pathgen-clip-l", "gelu").get("quick_gelu")
    assert model_config("pathgen-clip", "quick_gelu") == model_config("ViT-B-16-quickgelu")
    assert model_config("pathgen-clip", "gelu") == model_config("ViT-B-16")
    with pytest.raises(PathPluginsError, match=r"--clip-arch pathgen-clip: the weights do not .* gelu: its model card"):
        model_config("pathgen-clip")


def test_a_name_that_says_its_activation_is_not_contradicted() -> None:
    assert not model_config("ViT-B-16").get("quick_gelu")
    assert model_config("ViT-S-32-alt-quickgelu") == {**model_config("ViT-S-32-alt"), "quick_gelu": True}
    assert model_config("ViT-S-32-alt", "quick_gelu") == model_config("ViT-S-32-alt-quickgelu")
    with pytest.raises(PathPluginsError, match="ViT-B-16-quickgelu runs quick_gelu, --activation says gelu; remove"):
        model_config("ViT-B-16-quickgelu", "gelu")


def test_a_published_file_is_not_run_otherwise_than_published_unasked() -> None:
    for file, arch in (
        ("pathgen-clip-l.pt", "pathgen-clip-l"),
        ("pathgenclip.pt", "ViT-B-16-quickgelu"),
        ("mine.pt", "ViT-B-16"),
    ):
        check_published_file(file, arch, model_config(arch))
    with pytest.raises(PathPluginsError, match=r"ViT-L-14-336 runs gelu, but .* pass --clip-arch pathgen-clip-l, or"):
        check_published_file("pathgen-clip-l.pt", "ViT-L-14-336", model_config("ViT-L-14-336"))
    with pytest.raises(PathPluginsError, match=r"--clip pathgenclip.pt --clip-arch ViT-B-16: the weights do not tell"):
        check_published_file("pathgenclip.pt", "ViT-B-16", model_config("ViT-B-16"))
