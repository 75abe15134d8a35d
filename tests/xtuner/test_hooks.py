"""The evaluation-chat hook: the model is asked in the words of its training and sees all of an image (A10, A30)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from PIL import Image
from torch import Tensor
from xtuner.utils import PROMPT_TEMPLATE

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.hooks import PathologyChatHook
from pathplugins.xtuner.model import PathologyLLaVAModel
from pathplugins.xtuner.parts import load_model, load_processor

pytestmark = pytest.mark.host

TOWER = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
PARTS = {
    **{"llm": "tiny-untrained-llama", "vision_model_name": "plip", "mm_projector_type": "scale_invariant"},
    "vision_config": {**TOWER, "image_size": 24, "patch_size": 8},
    "projector_config": {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40, "dropout": 0.5},
    "random_vision_seed": 0,
}
QUESTION = "What does this image show?"


@pytest.fixture(scope="module", autouse=True)
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A grey image of 96 x 40, and the same with a fine pattern in a corner that averages to its grey."""
    made = tmp_path_factory.mktemp("chat")
    pixels = np.full((40, 96, 3), 128, np.uint8)
    Image.fromarray(pixels).save(made / "plain.png")
    pixels[::2, 72::2] = pixels[1::2, 73::2] = 255  # only its own tile, at full size, can tell
    pixels[1::2, 72::2] = pixels[::2, 73::2] = 1
    Image.fromarray(pixels).save(made / "fine.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(scope="module")
def model() -> PathologyLLaVAModel:
    return PathologyLLaVAModel(load_model(PARTS, torch_dtype="float32"), use_activation_checkpointing=False)


@pytest.fixture
def runner(model: PathologyLLaVAModel, tmp_path: Path) -> Any:
    """What the hook needs of a runner."""
    data = {"model": PARTS, "prompt_template": PROMPT_TEMPLATE.llama3_chat, "system": PATCH_SYSTEM_PROMPT}
    return SimpleNamespace(
        model=model.train(),
        cfg=ConfigDict(train_dataloader={"dataset": data}),
        logger=MMLogger.get_instance("test_hooks"),
        log_dir=str(tmp_path / "log"),
        iter=0,
    )


@pytest.fixture
def seen(model: PathologyLLaVAModel) -> Any:
    """What reaches the model while it reads a prompt."""
    inputs: list[dict[str, Tensor]] = []

    def record(core: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if kwargs["input_ids"].shape[1] > 1:
            inputs.append({**{k: v for k, v in kwargs.items() if isinstance(v, Tensor)}, "training": core.training})

    handle = model.llm.register_forward_pre_hook(record, with_kwargs=True)
    yield inputs
    handle.remove()


def ask(runner: Any, *args: Any, **options: Any) -> str:
    hook = PathologyChatHook(*args, max_new_tokens=5, **options)
    hook.before_run(runner)
    hook.before_train(runner)
    return (Path(runner.log_dir) / "vis_data" / f"eval_outputs_iter_{runner.iter}.txt").read_text()


def test_a30_all_tiles_reach_the_model(runner: Any, seen: Any, pictures: Path) -> None:
    """The published hook passes on the first tensor of the list, the thumbnail."""
    ask(runner, [QUESTION] * 2, [str(pictures / "plain.png"), str(pictures / "fine.png")])
    plain, fine = (call["pixel_values"] for call in seen)
    assert [call["tile_counts"].tolist() for call in seen] == [[9], [9]]
    assert plain.shape == fine.shape == (9, 3, 24, 24)
    wanted = load_processor(PARTS).image_processor([str(pictures / "fine.png")])["pixel_values"]
    assert torch.equal(fine, wanted)
    apart = (plain - fine).abs().amax((1, 2, 3))
    assert apart[1:].max() > 1.5, "a tile shows the pattern"
    assert apart[0] < apart[1:].max() / 3, "the thumbnail hardly does"


def test_a30_the_prompt_is_the_one_of_the_training(runner: Any, seen: Any, pictures: Path, tmp_path: Path) -> None:
    said = [{"from": "human", "value": f"<image>\n{QUESTION}"}, {"from": "gpt", "value": "Tumour."}]
    (tmp_path / "train.json").write_text(json.dumps([{"id": "a", "image": "fine.png", "conversations": said}]))
    data = runner.cfg.train_dataloader.dataset
    dataset = PathologyDataset(**data, data_path=str(tmp_path / "train.json"), image_folder=str(pictures))
    start = next(n for n, label in enumerate(dataset[0]["labels"]) if label != -100)
    ask(runner, QUESTION, str(pictures / "fine.png"))
    [call] = seen
    assert call["input_ids"][0].tolist() == dataset[0]["input_ids"][:start]
    tokenizer = load_processor(PARTS).tokenizer
    assert call["input_ids"][0].tolist().count(tokenizer.bos_token_id) == 1, "published: two"
    assert PATCH_SYSTEM_PROMPT in tokenizer.decode(call["input_ids"][0])
    assert call["attention_mask"].all()


@pytest.mark.parametrize("name", ["vicuna", "internlm2_chat", "gemma"])
def test_a10_what_is_named_in_the_hook_goes_before_the_data(runner: Any, seen: Any, name: str) -> None:
    ask(runner, QUESTION, prompt_template=PROMPT_TEMPLATE[name], system="Be brief.")
    text = load_processor(PARTS).tokenizer.decode(seen[0]["input_ids"][0])
    system = PROMPT_TEMPLATE[name].SYSTEM.format(system="Be brief.")
    assert text == "<|begin_of_text|>" + system + PROMPT_TEMPLATE[name].INSTRUCTION.format(input=QUESTION)


def test_a_question_without_an_image(runner: Any, seen: Any) -> None:
    said = ask(runner, ["What is necrosis?", "And why?"])
    assert len(seen) == 2
    assert "pixel_values" not in seen[0]
    assert load_processor(PARTS).image_token_id not in seen[0]["input_ids"]
    assert said.count("What is necrosis?") == said.count("And why?") == 1


def test_one_image_may_serve_all_questions(runner: Any, seen: Any, pictures: Path) -> None:
    ask(runner, ["What?", "Why?", "How?"], str(pictures / "plain.png"))
    assert [call["tile_counts"].tolist() for call in seen] == [[9]] * 3


@pytest.mark.parametrize("training", [True, False])
def test_asking_leaves_no_trace(runner: Any, seen: Any, pictures: Path, training: bool) -> None:
    """Not in the weights, the gradients, the mode or what is said: the same again, dropout or not."""
    model = runner.model.train(training)
    first = ask(runner, QUESTION, str(pictures / "fine.png"))
    assert model.training is model.llm.training is training
    assert not seen[0]["training"]
    assert ask(runner, QUESTION, str(pictures / "fine.png")) == first
    assert model.llm.config.use_cache is False
    assert all(weight.grad is None for weight in model.parameters())
    with torch.enable_grad():
        assert torch.is_grad_enabled()


def test_a_failure_leaves_the_mode_as_it_was(runner: Any, pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"no image")
    with pytest.raises((PathPluginsError, OSError, ValueError), match=r"broken\.png"):
        ask(runner, QUESTION, str(pictures / "broken.png"))
    assert runner.model.training


def test_when_it_asks(runner: Any) -> None:
    hook = PathologyChatHook("Why?", every_n_iters=4, max_new_tokens=1)
    hook.before_run(runner)
    asked = []
    for runner.iter in range(9):
        hook.after_train_iter(runner, runner.iter)
    asked = sorted(path.name for path in (Path(runner.log_dir) / "vis_data").iterdir())
    assert asked == ["eval_outputs_iter_3.txt", "eval_outputs_iter_7.txt"], "after the fourth and the eighth step"
    silent = PathologyChatHook("Why?", max_new_tokens=1)
    silent.before_run(runner)
    runner.iter = 12
    silent.after_train_iter(runner, 12)
    assert not (Path(runner.log_dir) / "vis_data" / "eval_outputs_iter_12.txt").exists()
    silent.after_train(runner)
    assert (Path(runner.log_dir) / "vis_data" / "eval_outputs_iter_12.txt").exists()


def test_no_questions_no_answers(runner: Any) -> None:
    hook = PathologyChatHook()
    hook.before_run(runner)
    hook.before_train(runner)
    assert not Path(runner.log_dir).exists()


def test_an_answer_ends_where_the_template_says(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop words of a template are entries of the vocabulary; those it does not have are left out."""
    ends: list[Any] = []
    original: Callable[..., Any] = runner.model.llm.generate
    monkeypatch.setattr(runner.model.llm, "generate", lambda **o: ends.append(o["eos_token_id"]) or original(**o))
    ask(runner, "Why?")
    ask(runner, "Why?", prompt_template=PROMPT_TEMPLATE.qwen_chat)
    ids = load_processor(PARTS).tokenizer.convert_tokens_to_ids
    assert ends == [[ids("<|end_of_text|>"), ids("<|eot_id|>")], [ids("<|end_of_text|>")]]


@pytest.mark.parametrize(
    ("questions", "images", "said"),
    [
        (["a", "b", "c"], ["plain.png", "fine.png"], "2 for 3 evaluation_inputs; give one, or one each"),
        ([], ["plain.png", "fine.png"], "2 for 0"),
        (["a"], ["gone.png"], "gone.png does not exist"),
    ],
)
def test_what_is_wrong_is_said_before_training(
    pictures: Path, questions: list[str], images: list[str], said: str
) -> None:
    with pytest.raises(PathPluginsError, match=said):
        PathologyChatHook(questions, [str(pictures / image) for image in images])
