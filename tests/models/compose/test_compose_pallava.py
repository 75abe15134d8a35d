"""PA-LLaVA's parts composed: what the directory says, released weights in it, what does not go together.

Features A11, A13 to A17, A40, A41.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, CLIPVisionConfig, CLIPVisionModel

from pathplugins.cli import main
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.projector import from_published
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.weights.model_folder import INDEX

MakeSpec = Callable[..., ComposeSpec]
PLIP = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]


def write_plip(folder: Path) -> dict[str, Tensor]:
    """A directory as PA-LLaVA publishes it, 196 tokens per tile; returns its weights by Transformers' names."""
    config = {**PLIP, "image_size": 28, "patch_size": 2}
    torch.manual_seed(5)
    state = CLIPVisionModel(CLIPVisionConfig(**config)).state_dict()
    state = {name.removeprefix("vision_model."): value for name, value in state.items()}
    published = {f"vision_model.{n.replace('post_layernorm', 'post_layrnorm')}": v for n, v in state.items()}
    folder.mkdir()
    torch.save(published, folder / "plip_80w_196token.bin")
    write_json(folder / "config.json", config)
    return state


@pytest.mark.parametrize("ratio", ["anyres", "pad"])
@pytest.mark.parametrize("connector", ["scale_invariant", "qformer_mlp", "mlp2x_gelu"])
def test_a_directory_says_everything_about_itself(
    make_spec: MakeSpec, pallava: dict[str, Any], tmp_path: Path, connector: str, ratio: str
) -> None:
    """A13, A14, A16, A17: no hub is asked, and every number is there once it is known."""
    options = pallava["projector_config"] if connector != "mlp2x_gelu" else {}
    changes = {"mm_projector_type": connector, "projector_config": options, "image_aspect_ratio": ratio}
    out = compose(make_spec(**{**pallava, **changes}, fast_resize=True), tmp_path / "vlm")
    assert read_json(out / "preprocessor_config.json") == {
        "image_processor_type": "TiledImageProcessor",
        "tile_size": 20,
        "tokens_per_tile": 25,
        "merged_tiles": connector != "mlp2x_gelu",
        "image_aspect_ratio": ratio,
        "image_mean": MEAN,
        "image_std": STD,
        "interpolation": "bicubic",
        "fast_resize": True,
        "vision_feature_select_mode": "none",
        "image_seq_length": 6,
        "seed": 42,
        "connector_tokens": None,
        "extra_tokens": 0,
    }
    config = read_json(out / "config.json")
    written_out = {"cross_attention_freq": 1, "projector_depth": 1, "cross_attention": True, "compat_mask": False}
    assert config["projector_config"] == {"type": connector, **options, **(written_out if options else {})}
    assert config["vision_config"].items() >= {**pallava["vision_config"], "select_layer": -2}.items()
    assert config["vision_config"]["model_type"] == "plip"
    assert config["vision_feature_select_mode"] == "none"
    assert read_json(out / "processor_config.json").keys() == {"image_token"}
    names = read_json(out / INDEX)["weight_map"]
    assert {name.partition(".")[0] for name in names} >= {"model", "vision_tower", "multi_modal_projector"}
    assert not [name for name in names if name.startswith("vision_tower.encoder.layers.2.")]  # beyond layer -2


@pytest.mark.parametrize("crossing", [(0, 1, 2), ()], ids=["as designed", "without cross-attention"])
def test_released_weights_and_whether_tiles_reach_the_language_model(
    make_spec: MakeSpec,
    load: Callable[..., Any],
    published: Callable[..., dict[str, Tensor]],
    picture: Callable[..., Image.Image],
    tmp_path: Path,
    crossing: tuple[int, ...],
) -> None:
    """A11, A15, A41: the same words for both variants; the keys of the file say which it is."""
    tower, connector = write_plip(tmp_path / "plip"), published(crossing=crossing)
    torch.save({"state_dict": connector}, tmp_path / "iter_9.pth")
    spec = make_spec(
        vision_model_name="plip",
        vision_tower=str(tmp_path / "plip"),
        vision_config={},
        random_vision_seed=None,
        mm_projector_type="scale_invariant",
        projector_path=str(tmp_path / "iter_9.pth"),
        projector_config={"num_attention_heads": 3},
    )
    out = compose(spec, tmp_path / "vlm")
    model, processor = load(out), AutoProcessor.from_pretrained(out)
    held = model.vision_tower.state_dict()
    assert held
    assert all(torch.equal(value, tower[name]) for name, value in held.items())
    assert model.config.projector_config["cross_attention"] is bool(crossing)
    wanted = from_published(connector)
    assert all(torch.equal(value, wanted[n]) for n, value in model.multi_modal_projector.state_dict().items())

    inputs = processor(["What is <image>?", "And <image>?"], [[picture(61, 39)], [picture(37, 44)]])
    slots = (inputs["input_ids"] == processor.image_token_id).sum(1).tolist()
    assert slots == [196, 196]
    counts = inputs["tile_counts"].tolist()
    before = model(**inputs).logits
    for tile, reaches in ((counts[0] - 1, bool(crossing)), (1, bool(crossing)), (0, True)):
        pixels = inputs["pixel_values"].clone()
        pixels[tile] += 1
        after = model(**{**inputs, "pixel_values": pixels}).logits
        assert torch.equal(after[0], before[0]) is not reaches, tile
        assert reaches is False or (after[0, -1] - before[0, -1]).abs().max() > 1e-4
        torch.testing.assert_close(after[1], before[1], atol=1e-5, rtol=1e-5)  # the other sample saw nothing


def test_a_composed_directory_lends_its_connector(
    make_spec: MakeSpec,
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    pallava: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Stage 2 from stage 1: shape and settings are those it was trained with, unasked."""
    options = {**pallava["projector_config"], "cross_attention_freq": 2, "projector_depth": 2, "compat_mask": True}
    source = make_vlm(None, **{**pallava, "projector_config": options, "seed": 9})
    spec = make_spec(**{**pallava, "projector_config": {}, "projector_path": str(source)})
    first, second = (load(path) for path in (source, compose(spec, tmp_path / "vlm")))
    assert second.config.projector_config == first.config.projector_config
    assert first.config.projector_config.items() >= options.items()
    wanted = first.multi_modal_projector.state_dict()
    got = second.multi_modal_projector.state_dict()
    assert got.keys() == wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in got.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_seq_length": 0}, "image_seq_length is 0: .* gives no slide token to keep"),
        ({"image_aspect_ratio": "crop"}, "image_aspect_ratio must be anyres, pad or square, got 'crop'"),
        (
            {"projector_config": {"num_attention_heads": 7}},
            "as wide as the vision tokens, 24, which num_attention_heads=7 does not divide",
        ),
        ({"projector_config": {"heads": 7}}, r"scale_invariant has no option \['heads'\]; it has: num_hidden_layers, "),
        ({"projector_config": {"dropout": 1.5}}, "scale_invariant with {'dropout': 1.5}: dropout probability"),
        ({"vision_config": {"patches": 7}}, r"vision_config of plip has no option \['patches'\] .*; it has: hidden"),
        (
            {"vision_config": {"patch_size": 7, "image_size": 20}},
            "image_size must be a multiple of patch_size=7, got 20",
        ),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_said_and_leaves_nothing(
    make_spec: MakeSpec, pallava: dict[str, Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PathPluginsError, match=message):
        compose(make_spec(**{**pallava, **changes}), tmp_path / "vlm")
    assert list(tmp_path.iterdir()) == []


def test_a_connector_across_tiles_is_not_for_bags(make_spec: MakeSpec, tmp_path: Path) -> None:
    options = {"mm_projector_type": "scale_invariant", "projector_config": {"num_attention_heads": 4}}
    with pytest.raises(PathPluginsError, match="looks across the tiles of an image, and gigapath reads feature bags"):
        compose(make_spec(**options), tmp_path / "vlm")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["gamma_mlp", "mlp2x_gelu", "linear"])
def test_another_connector_named_for_pa_llavas_file(
    make_spec: MakeSpec, published: Callable[..., dict[str, Tensor]], pallava: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """A16: the name left out of a configuration is ``gamma_mlp``."""
    torch.save({"state_dict": published()}, tmp_path / "iter_9.pth")
    changes = {"mm_projector_type": kind, "projector_config": {}, "projector_path": str(tmp_path / "iter_9.pth")}
    expected = rf"iter_9\.pth holds a scale_invariant connector; mm_projector_type is {kind}, set it to scale_invariant"
    with pytest.raises(PathPluginsError, match=expected):
        compose(make_spec(**{**pallava, **changes}), tmp_path / "vlm")
    assert [path.name for path in tmp_path.iterdir()] == ["iter_9.pth"]


@pytest.mark.parametrize(
    ("given", "report"),
    [
        ({"cross_attention": True}, r"30 missing: layers\.0\.cross_attention"),
        ({"num_hidden_layers": 2}, r"16 unexpected: layers\.2\."),
        ({"intermediate_size": 18}, r"9 of another shape: .* is \(24, 17\), wanted \(24, 18\)"),
    ],
    ids=str,
)
def test_what_the_weights_contradict_is_refused(
    make_spec: MakeSpec,
    published: Callable[..., dict[str, Tensor]],
    pallava: dict[str, Any],
    tmp_path: Path,
    given: dict[str, Any],
    report: str,
) -> None:
    """The variant is never a flag's: a configuration that says otherwise does not make weights from nothing."""
    torch.save({"state_dict": published(crossing=())}, tmp_path / "iter_9.pth")
    options = {"projector_config": {"num_attention_heads": 3, **given}, "projector_path": str(tmp_path / "iter_9.pth")}
    with pytest.raises(PathPluginsError, match=rf"does not fit the connector ScaleInvariantConnector: {report}"):
        compose(make_spec(**{**pallava, **options}), tmp_path / "vlm")


def test_the_command_line_composes_it(
    make_llm: Callable[..., Path],
    published: Callable[..., dict[str, Tensor]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_plip(tmp_path / "plip")
    torch.save({"state_dict": published(crossing=(0, 2))}, tmp_path / "iter_9.pth")
    words = ["compose", "--llm", make_llm(), "--vision-model", "plip", "--vision-tower", tmp_path / "plip"]
    words += ["--projector", "scale_invariant", "--projector-path", tmp_path / "iter_9.pth"]
    words += ["--projector-config", '{"num_attention_heads": 3, "compat_mask": true}']
    words += ["--image-aspect-ratio", "pad", "--fast-resize", "--out", tmp_path / "vlm"]
    assert main([str(word) for word in words]) == 0
    config, reading = (read_json(tmp_path / "vlm" / f"{name}config.json") for name in ("", "preprocessor_"))
    told = {"compat_mask": True, "cross_attention": True, "cross_attention_freq": 2, "num_hidden_layers": 3}
    assert config["projector_config"].items() >= told.items()
    assert (reading["image_aspect_ratio"], reading["fast_resize"], reading["tile_size"]) == ("pad", True, 28)
    assert f"pathplugins ask {tmp_path / 'vlm'} --image FILE" in capsys.readouterr().out
