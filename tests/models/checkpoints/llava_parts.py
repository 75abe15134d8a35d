"""A tiny LLaVA v1.5 in the layouts it is published in, and what the original computes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from pathplugins.core.files import read_json, write_json
from pathplugins.models.custom_llava.rope import legacy_rope

WIDTH, HIDDEN = 128, 64
CLIP = {
    "hidden_size": WIDTH,
    "intermediate_size": 72,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 35,
    "patch_size": 7,
    "hidden_act": "quick_gelu",
}
TOKENS = 25
LLAVA = {
    "model_type": "llava",
    "architectures": ["LlavaLlamaForCausalLM"],
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_layer": -2,
    "mm_vision_select_feature": "patch",
    "mm_use_im_start_end": False,
    "mm_use_im_patch_token": False,
    "mm_hidden_size": WIDTH,
    "use_mm_proj": True,
    "image_aspect_ratio": "pad",
    "tune_mm_mlp_adapter": False,
    "unfreeze_mm_vision_tower": False,
    "tokenizer_padding_side": "right",
    "tokenizer_model_max_length": 2048,
    "max_length": 4096,
}


def clip_directory(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """A CLIP vision tower as Transformers saves it, by the names before 5.6."""
    torch.manual_seed(seed)
    model = CLIPVisionModel(CLIPVisionConfig(**{**CLIP, **changes}))
    folder.mkdir(parents=True)
    state = {f"vision_model.{name.removeprefix('vision_model.')}": value for name, value in model.state_dict().items()}
    for value in state.values():  # Transformers' own first values are too small to tell layers apart
        value += 0.3 * torch.randn(value.shape)
        value.copy_(value.half())  # a checkpoint in half precision holds the same tower
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", {"model_type": "clip_vision_model", **CLIP, **changes})
    return folder


def connector_state(kind: str = "mlp2x_gelu", prefix: str = "model.mm_projector.") -> dict[str, Tensor]:
    """LLaVA's connector by LLaVA's names."""
    torch.manual_seed(3)
    layers = {"0": (HIDDEN, WIDTH), "2": (HIDDEN, HIDDEN)} if kind == "mlp2x_gelu" else {"": (HIDDEN, WIDTH)}
    state = {}
    for place, shape in layers.items():
        at = prefix + (f"{place}." if place else "")
        state |= {f"{at}weight": torch.randn(shape) * 0.2, f"{at}bias": torch.randn(shape[0])}
    return state


def without_reserved(llm: Path, out: Path) -> Path:
    """A language model whose vocabulary has no entry to spare, as Vicuna's: ``<image>`` lies behind its embedding."""
    out.mkdir(parents=True)
    for path in llm.iterdir():
        content = path.read_bytes()
        if path.suffix == ".json":
            content = content.replace(b"<|reserved_special_token_0|>", b"<|taken|>")
        (out / path.name).write_bytes(content)
    return out


def original(
    folder: Path,
    llm: Path,
    *,
    tower: Path | None = None,
    shards: int = 2,
    dtype: torch.dtype = torch.float16,
    **config: Any,
) -> Path:
    """A directory of haotian-liu/LLaVA in ``pytorch_model`` files, its tower inside where ``tower`` is given."""
    folder.mkdir(parents=True)
    for path in llm.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    settings = {**legacy_rope(read_json(llm / "config.json")), **LLAVA, "mm_vision_tower": "some/clip", **config}
    settings.pop("dtype", None)
    write_json(folder / "config.json", {**settings, "torch_dtype": str(dtype).removeprefix("torch.")})
    state = load_file(llm / "model.safetensors") | connector_state(settings["mm_projector_type"])
    if tower is not None:
        inside = load_file(tower / "model.safetensors")
        state |= {f"model.vision_tower.vision_tower.{name}": value for name, value in inside.items()}
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    save_bins(folder, {name: value.to(dtype) for name, value in state.items()}, shards)
    return folder


def save_bins(folder: Path, state: dict[str, Tensor], shards: int = 2) -> None:
    """``pytorch_model`` files and their index."""
    names = [f"pytorch_model-{n + 1:05d}-of-{shards:05d}.bin" for n in range(shards)]
    where = {key: names[number % shards] for number, key in enumerate(state)}
    for file in names:
        torch.save({key: state[key] for key in state if where[key] == file}, folder / file)
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": where})


def state_of(folder: Path) -> dict[str, Tensor]:
    """All weights of a directory, by the names in its files."""
    state: dict[str, Tensor] = {}
    for path in folder.glob("*.safetensors"):
        state |= load_file(path)
    for path in folder.glob("pytorch_model*.bin"):
        state |= torch.load(path, weights_only=True)
    return state


def llava_logits(folder: Path, tower: Path, ids: Tensor, pixels: Tensor) -> Tensor:
    """What the original computes: its names, its configuration, and ids [T] with -200 where the image goes."""
    config, state = read_json(folder / "config.json"), state_of(folder)
    llm = LlamaForCausalLM(LlamaConfig(**{key: value for key, value in config.items() if key != "model_type"})).eval()
    language = {
        name: value.float() for name, value in state.items() if "mm_projector" not in name and "vision" not in name
    }
    assert not llm.load_state_dict(language, strict=False).missing_keys or config["tie_word_embeddings"]
    clip = CLIPVisionModel.from_pretrained(tower, torch_dtype=torch.float32).eval()
    weights = {name.split("mm_projector.")[1]: v.float() for name, v in state.items() if "mm_projector" in name}
    first = nn.Linear(WIDTH, HIDDEN)
    connector = nn.Sequential(first, nn.GELU(), nn.Linear(HIDDEN, HIDDEN))
    if config["mm_projector_type"] == "linear":
        connector = first
    connector.load_state_dict(weights)
    with torch.no_grad():
        seen = clip(pixels, output_hidden_states=True).hidden_states[config["mm_vision_select_layer"]][:, 1:]
        place = (ids == -200).nonzero()[0, 0]
        embed = llm.model.embed_tokens
        parts = [embed(ids[:place]), connector(seen)[0], embed(ids[place + 1 :])]
        return llm(inputs_embeds=torch.cat(parts)[None]).logits[0]


def inputs(folder: Path, text: str = "What is<image>shown here?") -> tuple[Tensor, Tensor]:
    """Ids [T] with -200 for the image, and pixels [1, 3, 35, 35]."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in text.split("<image>"))
    pixels = torch.randn(1, 3, 35, 35, generator=torch.Generator().manual_seed(8))
    return torch.tensor([*before, -200, *after]), pixels


def with_tokens(ids: Tensor, token: int, count: int = TOKENS) -> Tensor:
    """[1, T] ids with the image's place as so many image tokens."""
    place = (ids == -200).nonzero()[0, 0]
    return torch.cat([ids[:place], torch.full((count,), token), ids[place + 1 :]])[None]
