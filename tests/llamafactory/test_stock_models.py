"""Several pictures of a slide train a stock model in a LLaMA-Factory without the plugin: `pathdata convert slides`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.host

pytest.importorskip("openslide")

MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
MARKS += ["<|image_pad|>", "<|video_pad|>"]
PICTURES = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples about two slides, three pictures each, with positions."""
    from pathplugins.data_tools.cli import main
    from pathplugins.data_tools.slides.demo import write_demo_slide

    root = tmp_path_factory.mktemp("stock")
    for seed in (0, 1):
        write_demo_slide(root / f"s{seed}.svs", (801 + 64 * seed, 703), seed=seed, kind=seed)
    (root / "labels.csv").write_text("slide,label\ns0,normal\ns1,tumour\n")
    slides = [str(root / f"s{seed}.svs") for seed in (0, 1)]
    assert main(["patch", *slides, "--out", str(root / "work"), "--patch-size", "64", "--workers", "1"]) == 0
    words = ["--from", "labels", "--patches", str(root / "work"), "--per-slide", str(PICTURES), "--positions", "mm"]
    words += ["--out", str(root / "data" / "slides.json"), "--workers", "1"]
    assert main(["convert", "slides", str(root / "labels.csv"), *words]) == 0
    return root / "data"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2.5-VL of random weights: two layers, a tokenizer of bytes."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("qwen")
    ids = {word: number for number, word in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), *MARKS])}
    core = Tokenizer(models.BPE(vocab=ids, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=MARKS[2], pad_token=MARKS[0], additional_special_tokens=MARKS
    )
    text = {"vocab_size": len(ids), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096}
    text |= {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
    text |= {"bos_token_id": ids[MARKS[0]], "eos_token_id": ids[MARKS[2]]}
    vision = {"depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "out_hidden_size": 32}
    vision |= {"window_size": 56, "fullatt_block_indexes": [1]}
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    places = dict(zip(names, (ids[mark] for mark in MARKS[3:]), strict=True))
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **places)
    torch.manual_seed(0)
    transformers.Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    transformers.Qwen2_5_VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(),
        tokenizer=tokenizer,
        video_processor=transformers.Qwen2VLVideoProcessor(),
    ).save_pretrained(folder)
    return folder


def test_a_stock_model_trains_on_them(environment: dict[str, str], data: Path, qwen: Path, tmp_path: Path) -> None:
    keys = {"model_name_or_path": qwen, "stage": "sft", "do_train": True, "finetuning_type": "full"}
    keys |= {"template": "qwen2_vl", "dataset_dir": data, "dataset": "slides", "cutoff_len": 1024, "max_steps": 2}
    keys |= {"per_device_train_batch_size": 2, "logging_steps": 1, "output_dir": tmp_path / "out", "report_to": "none"}
    keys |= {"preprocessing_num_workers": 1, "save_strategy": "no", "learning_rate": 0.01}
    (tmp_path / "stock.yaml").write_text(
        "".join(f"{key}: {json.dumps(value, default=str)}\n" for key, value in keys.items())
    )
    stock = {**os.environ, **environment, "PATHPLUGINS_DISABLE": "1", "DISABLE_VERSION_CHECK": "1"}
    command = Path(sys.executable).with_name("llamafactory-cli")
    done = subprocess.run(
        [command, "train", tmp_path / "stock.yaml"], capture_output=True, text=True, check=False, env=stock
    )
    assert done.returncode == 0, done.stderr[-3000:]
    state = json.loads((tmp_path / "out" / "trainer_state.json").read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    shown = done.stdout.split("inputs:\n")[1].split("label_ids:")[0]
    assert shown.count("<|vision_start|>") == shown.count("<|vision_end|>") == shown.count("Patch ") == PICTURES
    assert " mm: <|vision_start|><|image_pad|>" in shown
