"""Releases of PathoSynVLM become one directory, bit for bit, whose forward is the published one; or are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pathosyn_reference as reference
import pytest
import torch
from safetensors.torch import load_file
from slidechat_reference import tiny_qwen
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoProcessor

from pathplugins.cli import main
from pathplugins.commands.prompting import prompt
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.foreign.pathosynvlm.read import import_pathosynvlm

WIDTH, H = 6, 64
SETTINGS = {
    **{
        "format_version": 1,
        "llm_kind": "merged",
        "vision_dim": WIDTH,
        "feature_key": "conch_x",
        "prompt_style": "double",
    },
    **{"use_wsi_markers": True, "use_wsi_index_emb": True, "training_config": {"max_vision_tokens": 7}},
}


def state(*, markers: bool = True, numbers: bool = True) -> dict[str, Any]:
    """``vlm_state.pt`` by the published names."""
    torch.manual_seed(0)
    shapes = {"pre_ln": (WIDTH,), "mlp.0": (2 * H, WIDTH), "mlp.3": (H, 2 * H), "post_ln": (H,)}
    aligner = {f"{name}.weight": torch.randn(shape) for name, shape in shapes.items()}
    aligner |= {f"{name}.bias": torch.randn(shape[:1]) for name, shape in shapes.items()}
    index = {"weight": torch.randn(5, H)} if numbers else None
    flags = {"use_wsi_markers": markers, "use_wsi_index_emb": numbers}
    return {"aligner": aligner, **flags, "wsi_index_emb": index, "wsi_sep": torch.randn(H)}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patho") / "release"
    texts = [reference.TASK, reference.CASE]
    tiny_qwen(folder / "llm", texts, model_type="qwen2", tied=True)
    (folder / "tokenizer").mkdir()
    for path in [p for p in (folder / "llm").iterdir() if "token" in p.name or p.suffix == ".jinja"]:
        path.rename(folder / "tokenizer" / path.name)
    torch.save(state(), folder / "vlm_state.pt")
    write_json(folder / "config.json", SETTINGS)
    return folder


@pytest.fixture(scope="module")
def imported(release: Path) -> Path:
    out = release.parent / "hf_case"
    assert main(["import-weights", "pathosynvlm", str(release), "--out", str(out)]) == 0
    return out


def other(release: Path, folder: Path, change: Callable[[Path], object]) -> Path:
    shutil.copytree(release, folder)
    change(folder)
    return folder


def test_bits_are_kept(release: Path, imported: Path) -> None:
    got = {name: value for file in imported.glob("*.safetensors") for name, value in load_file(file).items()}
    published = state()
    wanted = {f"multi_modal_projector.{name}": value for name, value in published["aligner"].items()}
    wanted["multi_modal_projector.wsi_index_emb"] = published["wsi_index_emb"]["weight"]
    wanted["multi_modal_projector.wsi_sep"] = published["wsi_sep"]
    wanted |= load_file(release / "llm" / "model.safetensors")
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], value) for name, value in wanted.items())
    assert not any(path.is_symlink() for path in imported.iterdir())
    assert (release / "llm" / "model.safetensors").is_file()
    assert read_json(imported / "config.json")["projector_config"]["hidden_multiple"] == 2


def reference_logits(release: Path, slides: list[Tensor], text: list[int], rows: int) -> Tensor:
    """The published forward, from its description, float64: cut to the first rows, markers, then all text."""
    published, llm = state(), AutoModelForCausalLM.from_pretrained(release / "llm").double().eval()
    w = {name: value.double() for name, value in published["aligner"].items()}

    def norm(x: Tensor, name: str) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    seq, left = [], rows
    for k, x in enumerate(slides):
        x, left = x[:left].double(), left - min(len(x), left)
        x = norm(x, "pre_ln") @ w["mlp.0.weight"].T + w["mlp.0.bias"]
        x = 0.5 * x * (1 + torch.erf(x / 2**0.5)) @ w["mlp.3.weight"].T + w["mlp.3.bias"]
        marker = published["wsi_index_emb"]["weight"][k].double() + published["wsi_sep"].double()
        seq += [marker[None], norm(x, "post_ln")]
    embeds = torch.cat([*seq, llm.get_input_embeddings()(torch.tensor(text))])
    with torch.no_grad():
        return llm(inputs_embeds=embeds[None]).logits[0]


def test_the_forward_is_the_published_one(
    release: Path, imported: Path, load: Callable[..., Any], tmp_path: Path
) -> None:
    slides = []
    for k, rows in enumerate((4, 9)):  # the second is cut to 3 of its rows
        slides.append(torch.from_numpy(np.random.default_rng(k).standard_normal((rows, WIDTH)).astype(np.float32)))
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            file["features/conch_x"] = slides[-1].numpy()
    processor, model = AutoProcessor.from_pretrained(imported), load(imported).double()
    text = prompt(processor.tokenizer, "<image><image>\nReport.")
    inputs = processor(text, [tmp_path / "0.h5", tmp_path / "1.h5"])
    image = processor.image_token_id
    ids = [token for token in inputs["input_ids"][0].tolist() if token != image]
    written = processor.tokenizer.decode(ids)
    assert written.startswith(f"<|im_start|>system\n{(reference.TASK * 2).strip()}<|im_end|>\n")
    assert written.endswith("Report.\nWSI #1\nWSI #2<|im_end|>\n<|im_start|>assistant\n")
    assert inputs["input_ids"][0].tolist() == [image] * (1 + 4 + 1 + 3) + ids
    with torch.no_grad():
        got = model(**{**inputs, "patch_features": inputs["patch_features"].double()}).logits[0]
    torch.testing.assert_close(got, reference_logits(release, slides, ids, 7), rtol=0, atol=1e-6)


def _without(entry: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        published = state()
        del published["aligner"][entry]
        torch.save(published, folder / "vlm_state.pt")

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: shutil.rmtree(f / "tokenizer"), "holds no tokenizer; give the folder of a release, whole"),
        (_without("mlp.3.bias"), r"are missing mlp\.3\.bias and have no place none"),
        (lambda f: torch.save({**state(), "gate": torch.ones(1)}, f / "vlm_state.pt"), "have no place gate"),
        (lambda f: torch.save({**state(), "wsi_sep": None}, f / "vlm_state.pt"), "are missing wsi_sep"),
        (lambda f: torch.save(state()["aligner"], f / "vlm_state.pt"), "wanted the entries aligner"),
        (lambda f: torch.save(state(numbers=False), f / "vlm_state.pt"), "use_wsi_index_emb is True there"),
        (lambda f: write_json(f / "config.json", {**SETTINGS, "vision_dim": 9}), "vision_dim is 9 there and .* 6 wide"),
        (lambda f: write_json(f / "config.json", {"hidden_size": 9}), "lacks vision_dim and feature_key"),
        (
            lambda f: (f / "vlm_state.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
            "Git LFS pointer",
        ),
        (lambda f: (f / "config.json").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
        (lambda f: (f / "vlm_state.pt").write_text("<!DOCTYPE html>"), "HTML page .*accept the terms of a gated model"),
        (lambda f: (f / "llm").rename(f / "adapter"), "export it with the LoRA merged"),
    ],
)
def test_what_is_not_whole_is_refused(
    release: Path, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    source = other(release, tmp_path / "source", change)
    with pytest.raises(CheckpointError, match=said):
        import_pathosynvlm(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_language_model_that_is_not_whole_is_refused(release: Path, tmp_path: Path) -> None:
    source = other(release, tmp_path / "source", lambda folder: None)
    weights = load_file(source / "llm" / "model.safetensors")
    del weights["model.norm.weight"]
    from safetensors.torch import save_file

    save_file(weights, source / "llm" / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 missing \(model\.norm\.weight\)"):
        import_pathosynvlm(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unused_markers_are_left_out_and_said(release: Path, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        torch.save(state(markers=False), folder / "vlm_state.pt")
        told = {"use_wsi_markers": False, "report_target_field": "micro_protocol", "prompt_style": "single"}
        write_json(folder / "config.json", {**SETTINGS, **told})

    said = "\n".join(import_pathosynvlm(other(release, tmp_path / "source", change), tmp_path / "out"))
    assert "left out, as the release does not use them: wsi_sep, wsi_index_emb" in said
    assert "no markers" in said
    template = read_json(tmp_path / "out" / "tokenizer_config.json")["chat_template"]
    assert "Micro protocol: ..." in template
    assert "Conclusion" not in template
