"""``pathplugins ask``: the prompt of the model's own template, the answer of greedy generation (feature W45)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathplugins.cli import main
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data.prompts import SYSTEM_PROMPT

transformers = pytest.importorskip("transformers")

LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + LLAMA
)
QUESTION = "What does this slide show?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.spec import ComposeSpec
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    root = tmp_path_factory.mktemp("ask")
    llm = build_tiny_llm(root / "llm", [QUESTION, SYSTEM_PROMPT], tied=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = LLAMA
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": 9, "embed_dim": 24, "depth": 1, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
    spec = ComposeSpec(llm=str(llm), vision_config=tower, random_vision_seed=0, image_seq_length=5, patches_per_wsi=11)
    return compose(spec, root / "vlm")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "slide.h5"
    side = BagAttributes(
        slide_id="slide",
        encoder="none",
        patch_size=256,
        patch_size_level0=256,
        mpp=0.5,
        level0_mpp=0.5,
        level0_width=5000,
        level0_height=3000,
    )
    coords = np.stack([np.arange(17) % 9, np.arange(17)], 1) * 256
    write_bag(path, [np.random.default_rng(1).standard_normal((17, 9))], coords, side)
    return path


def tokenizer_with(model: Path, template: str | None) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = template
    return tokenizer


def test_the_prompt_is_the_templates(model: Path) -> None:
    from pathplugins.commands.ask import conversation

    user = f"<|start_header_id|>user<|end_header_id|><image>\n{QUESTION}<|eot_id|>"
    end = "<|start_header_id|>assistant<|end_header_id|>"
    ours = f"<|start_header_id|>system<|end_header_id|>{SYSTEM_PROMPT}<|eot_id|>"
    assert conversation(tokenizer_with(model, LLAMA), QUESTION) == ours + user + end
    assert conversation(tokenizer_with(model, NO_SYSTEM), QUESTION) == user + end
    with pytest.raises(PathPluginsError, match="the tokenizer has no chat template"):
        conversation(tokenizer_with(model, None), QUESTION)


def test_a_template_with_a_system_prompt_keeps_it(model: Path) -> None:
    """As LLaMA-Factory writes it into a trained model: asked the way it was trained."""
    from pathplugins.commands.ask import conversation

    default = (
        "{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else 'As trained.' %}[{{ system }}]"
    )
    rest = "{% for m in messages if m['role'] != 'system' %}<{{ m['content'] }}>{% endfor %}"
    assert conversation(tokenizer_with(model, default + rest), "Why?") == "[As trained.]<<image>\nWhy?>"


def test_the_command_prints_what_the_function_answers(
    model: Path, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.commands.ask import answer, load

    words = ["ask", str(model), "--bag", str(bag), "--question", QUESTION, "--max-new-tokens", "6", "--device", "cpu"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert told.strip() == answer(*load(str(model), device="cpu"), bag, QUESTION, 6)
    assert told.strip()


def test_an_adapter_changes_the_answer(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peft = pytest.importorskip("peft")
    from pathplugins.commands.ask import load

    base, _ = load(str(model), device="cpu")
    config = peft.LoraConfig(
        r=4, lora_alpha=64, target_modules=["q_proj", "v_proj", "up_proj"], init_lora_weights=False
    )
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    words = ["ask", str(model), "--bag", str(bag), "--question", QUESTION, "--max-new-tokens", "6", "--device", "cpu"]
    answers = []
    for more in ([], ["--adapter", str(tmp_path)]):
        assert main([*words, *more]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] != answers[1]


def test_mistakes_are_one_line(model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(model), "--bag", str(tmp_path / "absent.h5"), "--question", "?"]) == 2
    assert "absent.h5: no such file" in capsys.readouterr().err
