"""PA-LLaVA's trained connector, from whatever file it comes in, in both variants (features A15, A17, A31, A41)."""

from __future__ import annotations

import collections
import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.projector import (
    load_projector,
    projector_options,
    read_projector,
    save_projector,
    to_published,
)
from pathplugins.models.connectors.mlp import GammaMLPConnector, MLPConnector
from pathplugins.models.connectors.scale_invariant import ScaleInvariantConnector
from pathplugins.weights import open_weights

Published = Callable[..., dict[str, Tensor]]
VARIANTS = [((0, 1, 2), {"cross_attention": True, "cross_attention_freq": 1}), ((), {"cross_attention": False})]
FLAG = {"model_type": "q_former_projector", "add_cross_attention": True, "cross_attention_freq": 1, "depth": 1}


class Trap:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def bare(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name.removeprefix("projector.model."): value for name, value in state.items()}


def write(kind: str, folder: Path, state: dict[str, Tensor]) -> Path:
    """The same connector as one of the files people have."""
    llm = {"llm.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(3, 5)}
    whole = collections.OrderedDict({**llm, **state})
    if kind == "iter.pth":  # of XTuner: mmengine's logs, functions among them, and an optimizer beside the weights
        log = {"loss": [np.arange(3.0), np.mean, collections.defaultdict(list, a=[1])], "trap": Trap(folder / "trap")}
        beside = {"message_hub": log, "meta": {"time": datetime.datetime.now()}, "optimizer": {"state": torch.ones(9)}}
        torch.save({**beside, "state_dict": whole}, folder / kind)
        return folder / kind
    if kind == "deepspeed":
        flat = torch.cat([value.flatten().float() for value in whole.values()])
        parts = flat.split([value.numel() for value in whole.values()])
        module = {name: part.view(value.shape) for part, (name, value) in zip(parts, whole.items(), strict=True)}
        torch.save({"module": module, "ds_config": Trap(folder / "trap")}, folder / "mp_rank_00_model_states.pt")
        return folder
    if kind == "old.pth":
        torch.save({"state_dict": whole}, folder / kind, _use_new_zipfile_serialization=False)
        return folder / kind
    write_json(folder / "config.json", FLAG)
    if kind == "projector/ as safetensors":
        save_file(bare(state, "model."), folder / "model.safetensors")
    else:
        torch.save(bare(state, "model."), folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize(("crossing", "told"), VARIANTS, ids=["as designed", "without cross-attention"])
@pytest.mark.parametrize(
    "kind", ["iter.pth", "deepspeed", "old.pth", "projector/ as safetensors", "projector/ as pytorch_model.bin"]
)
def test_every_file_in_both_variants(
    published: Published, tmp_path: Path, kind: str, crossing: tuple[int, ...], told: dict[str, Any]
) -> None:
    """Which variant it is, its keys tell; the published configuration says cross-attention in either."""
    state = published(crossing=crossing)
    path = write(kind, tmp_path, state)
    options = projector_options(path)
    assert options == {"num_hidden_layers": 3, "projector_depth": 1, "intermediate_size": 17, **told}
    part = ScaleInvariantConnector(24, 64, num_attention_heads=3, **options)
    load_projector(part, path)
    got = to_published(part.state_dict())
    assert got.keys() == state.keys() - {"projector.model.bert.embeddings.position_ids"}
    assert all(torch.equal(value, state[name]) for name, value in got.items())
    assert not (tmp_path / "trap").exists()


def test_the_published_size_from_a_file(published: Published, tmp_path: Path) -> None:
    """161 keys in half precision, as XTuner saves them."""
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in published(layers=6, crossing=range(6), width=768, inner=3072, out=4096).items()
    }
    assert len(state) == 161
    torch.save({"state_dict": state}, tmp_path / "iter_1.pth")
    got, _ = read_projector(tmp_path / "iter_1.pth")
    assert (len(got), sum(value.numel() for value in got.values())) == (160, 59_862_016)
    assert {value.dtype for value in got.values()} == {torch.float16}
    with torch.device("meta"):
        part = ScaleInvariantConnector(768, 4096, **projector_options(tmp_path / "iter_1.pth"))
    assert {name: value.shape for name, value in part.state_dict().items()} == {n: v.shape for n, v in got.items()}


def test_nothing_but_the_connector_is_read(published: Published, tmp_path: Path) -> None:
    """The language model beside it is gigabytes; here it could not even be read."""
    llm = torch.full((500,), 0.1234)
    torch.save({"module": {"llm.model.norm.weight": llm, **published()}}, tmp_path / "iter_1.pth")
    whole = (tmp_path / "iter_1.pth").read_bytes()
    at = whole.index(llm.numpy().tobytes())
    (tmp_path / "iter_1.pth").write_bytes(whole[:at] + bytes(8) + whole[at + 8 :])
    assert len(read_projector(tmp_path / "iter_1.pth")[0]) == 82
    with pytest.raises(CheckpointError, match="differs from its checksum"):
        open_weights(tmp_path / "iter_1.pth")["llm.model.norm.weight"]


@pytest.mark.parametrize(
    ("lost", "report"),
    [
        (("norm.bias", "mlp.model.0.weight"), r"2 missing: mlp\.0\.weight, norm\.bias; check mm_projector_type"),
        (("bert.encoder.layer.1.output_query",), r"4 missing: layers\.1\.feed_forward\.dense\.bias, .*"),
        (("bert.encoder.layer.2.crossattention",), r"10 missing: layers\.2\.cross_attention\.dense\.bias, .*, \.\.\.;"),
        (("bert.encoder.layer.0.crossattention",), r"10 missing: layers\.0\..*; 10 unexpected: layers\.1\."),
        (("bert.encoder.layer.1.",), r"16 missing: layers\.1\..*; 26 unexpected: layers\.2\."),
        (
            ("bert.encoder.layer.0.intermediate_query.dense",),
            r"2 missing: layers\.0\.feed_forward\.intermediate\.bias, ",
        ),
        (("bert.encoder.layer.0.attention.self.query.weight",), r"1 missing: layers\.0\.attention\.query\.weight;"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_partial_files_are_refused_with_counts(
    published: Published, tmp_path: Path, lost: tuple[str, ...], report: str
) -> None:
    state = {name: value for name, value in published().items() if not name.split(".", 2)[2].startswith(lost)}
    path = write("iter.pth", tmp_path, state)
    part = ScaleInvariantConnector(24, 64, num_attention_heads=3, **projector_options(path))
    before = {name: value.clone() for name, value in part.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=rf"iter\.pth does not fit the connector ScaleInvariantConnector: {report}"
    ):
        load_projector(part, path)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())


@pytest.mark.parametrize("options", [{}, {"cross_attention": False}, {"cross_attention_freq": 2, "projector_depth": 2}])
def test_ours_are_written_by_the_published_names_and_read_back(
    shapes_of: Callable[..., dict[str, Any]], tmp_path: Path, options: dict[str, Any]
) -> None:
    """What keys do not tell (heads, dropout, mask) is written beside them, and counts when they are read."""
    settings = {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 17, "dropout": 0.2, **options}
    settings["compat_mask"] = True
    torch.manual_seed(3)
    part = ScaleInvariantConnector(24, 64, **settings)
    path = save_projector(part.state_dict(), tmp_path, {"type": "qformer_mlp", **settings})
    written = torch.load(path, weights_only=True)
    crossing = range(0, 3 if part.cross_attention else 0, settings.get("cross_attention_freq", 1))
    wanted = shapes_of(crossing=crossing, depth=settings.get("projector_depth", 1))
    assert {name: tuple(value.shape) for name, value in written.items()} == {
        f"projector.model.{name}": shape for name, shape in wanted.items()
    }
    told = projector_options(tmp_path)
    assert told.items() >= settings.items()
    assert "type" not in told
    again = ScaleInvariantConnector(24, 64, **told)
    load_projector(again, path)
    assert all(torch.equal(value, part.state_dict()[name]) for name, value in again.state_dict().items())


def test_keys_count_for_more_than_what_is_written_beside(published: Published, tmp_path: Path) -> None:
    torch.save(published(crossing=()), tmp_path / "mm_projector.bin")
    write_json(tmp_path / "mm_projector.json", {"cross_attention": True, "num_hidden_layers": 6, "dropout": 0.3})
    told = projector_options(tmp_path)
    assert (told["cross_attention"], told["num_hidden_layers"], told["dropout"]) == (False, 3, 0.3)


def test_the_trained_copy_is_taken_out_of_our_own_xtuner_checkpoint(published: Published, tmp_path: Path) -> None:
    """Under LoRA the connector is PEFT's, which keeps what it was before beside what was trained."""
    part = ScaleInvariantConnector(24, 64, num_hidden_layers=1, num_attention_heads=3, intermediate_size=17)
    at = "llm.base_model.model.multi_modal_projector."
    state = {f"{at}modules_to_save.default.{name}": value for name, value in part.state_dict().items()}
    state |= {f"{at}original_module.{name}": value + 1 for name, value in part.state_dict().items()}
    torch.save({"state_dict": state, "message_hub": Trap(tmp_path / "trap")}, tmp_path / "iter_4.pth")
    got, _ = read_projector(tmp_path / "iter_4.pth")
    assert got.keys() == part.state_dict().keys()
    assert all(torch.equal(got[name], value) for name, value in part.state_dict().items())


@pytest.mark.parametrize(
    ("connector", "report"),
    [
        (GammaMLPConnector(24, 64), r"GammaMLPConnector: 9 missing: .*; 82 unexpected: .*; check mm_projector_type"),
        (MLPConnector(24, 64), r"MLPConnector: 4 missing: .*; 82 unexpected: "),
    ],
    ids=["gamma_mlp", "mlp2x_gelu"],
)
def test_another_connector_does_not_take_it(
    published: Published, tmp_path: Path, connector: nn.Module, report: str
) -> None:
    with pytest.raises(CheckpointError, match=report):
        load_projector(connector, write("iter.pth", tmp_path, published()))


def test_llavas_connector_in_xtuners_names(tmp_path: Path) -> None:
    """XTuner's own LLaVA calls its places as PA-LLaVA's projector is called."""
    part = MLPConnector(24, 64)
    places = {"linear_1": "0", "linear_2": "2"}
    named = [(*name.split("."), value) for name, value in part.state_dict().items()]
    torch.save({"state_dict": {f"projector.model.{places[n]}.{k}": v for n, k, v in named}}, tmp_path / "iter_1.pth")
    (tmp_path / "projector").mkdir()
    torch.save({f"model.{places[n]}.{k}": v for n, k, v in named}, tmp_path / "projector" / "pytorch_model.bin")
    for path in ("iter_1.pth", "projector"):
        fresh = MLPConnector(24, 64)
        load_projector(fresh, tmp_path / path)
        assert all(torch.equal(value, part.state_dict()[name]) for name, value in fresh.state_dict().items())
        assert projector_options(tmp_path / path) == {}


def test_old_files_with_objects_are_read_and_damaged_ones_refused(published: Published, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"state_dict": published(), "log": datetime.datetime.now()}, path, _use_new_zipfile_serialization=False)
    assert len(read_projector(path)[0]) == 82
    torch.save({"state_dict": published()}, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file .*download or copy it again"):
        read_projector(path)


def test_options_of_a_trained_directory(tmp_path: Path) -> None:
    """A whole model's configuration says them too."""
    part = ScaleInvariantConnector(24, 64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=17)
    whole = {f"multi_modal_projector.{name}": value for name, value in part.state_dict().items()}
    save_file({**whole, "model.norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    config = {"projector_config": {"type": "scale_invariant", "num_attention_heads": 4, "compat_mask": True}}
    write_json(tmp_path / "config.json", config)
    told = projector_options(tmp_path)
    assert told.items() >= {"num_attention_heads": 4, "compat_mask": True, "num_hidden_layers": 1}.items()
    assert read_json(tmp_path / "config.json") == config
