"""From a checkpoint of any kind to one Hugging Face directory that says what was trained (A31, A32)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
from mmengine.config import Config
from safetensors.torch import load_file
from xtuner.registry import BUILDER

from pathplugins.cli import main
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.data.formats.drawn import QUESTION
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.export import export_checkpoint, write_directory
from pathplugins.xtuner.parts import model_directory

pytestmark = pytest.mark.host

CONFIG = "pallava_smoke_tune.py"


def said(text: str) -> str:
    return text.rpartition("<|end_header_id|>")[2].strip()


@pytest.fixture(scope="module")
def exported(command: Callable[..., str], tune: Any, folder: Path) -> Path:
    told = command("pathplugins", "export", "xtuner", tune.checkpoint(48), "--config", CONFIG, "--out", "hf_model")
    assert "pathplugins ask hf_model" in told
    return folder / "hf_model"


def loss_of(directory: Path, samples: dict[str, Any]) -> float:
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(directory, torch_dtype=torch.float32).eval()
    with torch.no_grad():
        return model(**samples).loss.item()


def test_exported_model_is_the_trained_one(exported: Path, tune: Any, model: Any, samples: dict[str, Any]) -> None:
    model.load_trained(read_checkpoint(tune.checkpoint(48)), "iter_48.pth")
    with torch.no_grad():
        wanted = model.eval()(samples)["loss"].item()
    assert loss_of(exported, samples) == pytest.approx(wanted, rel=1e-5)
    assert 0 < wanted < 2


def test_only_what_was_trained_has_changed(exported: Path, folder: Path) -> None:
    base = model_directory(Config.fromfile(folder / CONFIG).model.llm.model)
    before = {key: value for file in base.glob("*.safetensors") for key, value in load_file(file).items()}
    after = load_file(exported / "model.safetensors")
    assert after.keys() == before.keys(), "no adapter is left, nothing is lost"
    changed = {key for key, value in before.items() if not torch.equal(value.float(), after[key].float())}
    linear = {key for key in before if key.startswith("model.layers.") and "norm" not in key}
    connector = {key for key in before if key.startswith("multi_modal_projector.")}
    assert linear <= changed <= linear | connector
    assert len(changed & connector) > 50
    assert [key for key in before if key.startswith("vision_tower.")]


PLAIN = """
import sys
from transformers import AutoModelForImageTextToText, AutoProcessor
directory, image, question = sys.argv[1:]
model, processor = (kind.from_pretrained(directory) for kind in (AutoModelForImageTextToText, AutoProcessor))
turn = [{"role": "user", "content": "<image>\\n" + question}]
text = processor.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
inputs = processor(text=text, images=[image])
output = model.generate(**inputs, max_new_tokens=16, do_sample=False)
print(processor.tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True).strip())
"""


def test_exported_model_answers_like_the_trained_one(
    exported: Path, tune: Any, asks: dict[str, Any], environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In plain Transformers and in ``pathplugins ask``, greedily, as the evaluation-chat hook asked while training."""
    image = str(asks["custom_hooks.0.evaluation_images"])
    wanted = said(tune.answers(48))
    assert wanted.startswith("The image shows ")
    words = [sys.executable, "-c", PLAIN, str(exported), image, QUESTION]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.stdout.strip() == wanted, done.stderr[-3000:]
    words = ["ask", str(exported), "--image", image, "--question", QUESTION, "--max-new-tokens", "16"]
    assert main(words) == 0
    assert capsys.readouterr().out.strip().splitlines()[-1] == wanted


def test_a31_xtuners_own_command_writes_the_same(command: Callable[..., str], exported: Path, tune: Any) -> None:
    command(
        "xtuner", "convert", "pth_to_hf", CONFIG, tune.checkpoint(48), "hf_by_xtuner", "--save-format", "huggingface"
    )
    other = exported.with_name("hf_by_xtuner")
    names = {path.name for path in exported.iterdir()}
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"} <= names
    assert {path.name for path in other.iterdir()} == names | {"xtuner_config.py"}
    assert [name for name in names if (exported / name).read_bytes() != (other / name).read_bytes()] == []


@pytest.mark.parametrize("release", ["this", "earlier"])
def test_the_config_in_the_work_directory_serves_as_well(
    exported: Path, tune: Any, tmp_path: Path, release: str
) -> None:
    """MMEngine writes names in place of what a config imports; template and system prompt must survive that."""
    config = tune.work / CONFIG
    if release == "earlier":
        config = shutil.copy(Path(__file__).parent / "dumped" / "pallava_smoke_tune.txt", tmp_path / CONFIG)
    export_checkpoint(tune.checkpoint(48), Path(config), tmp_path / "hf")
    for name in ("chat_template.jinja", "tokenizer_config.json", "model.safetensors"):
        if (exported / name).exists():
            assert (tmp_path / "hf" / name).read_bytes() == (exported / name).read_bytes(), name


@pytest.mark.parametrize("zero", ["zero2", "zero3"])
def test_a_deepspeed_directory(
    request: pytest.FixtureRequest,
    zero: str,
    model: Any,
    samples: dict[str, Any],
    tune: Any,
    folder: Path,
    tmp_path: Path,
) -> None:
    """Written in the language model's own precision, and as good as what one process learns in as many steps."""
    checkpoint = request.getfixturevalue(zero).checkpoint(12)
    assert checkpoint.is_dir()
    export_checkpoint(checkpoint, Path(CONFIG), tmp_path / "hf")
    losses, read = [], read_checkpoint(checkpoint)
    theirs = get_fp32_state_dict_from_zero_checkpoint(str(checkpoint.parent), checkpoint.name)
    assert {f"module.{name}" for name in read} == theirs.keys() or read.keys() == theirs.keys()
    assert all(torch.equal(value, theirs.get(name, theirs.get(f"module.{name}"))) for name, value in read.items())
    for state in (read, read_checkpoint(tune.checkpoint(24))):
        model.load_trained(state, "the checkpoint")
        with torch.no_grad():
            losses.append(model.eval()(samples)["loss"].item())
    assert loss_of(tmp_path / "hf", samples) == pytest.approx(losses[0], rel=1e-5)
    assert losses[0] == pytest.approx(losses[1], rel=0.1)  # 0.054 apart on some processors
    assert {value.dtype for value in load_file(tmp_path / "hf" / "model.safetensors").values()} == {torch.float32}


@pytest.mark.parametrize("saved_by", ["MMEngine", "DeepSpeed"])
def test_what_stage_1_trained_and_stage_2_froze_is_not_lost(
    align: Any, folder: Path, saved_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    cfg = Config.fromfile(CONFIG)
    cfg.model.update(freeze_projector=True, lr_mult=None)
    model = BUILDER.build(cfg.model)
    state = model.state_dict()
    assert {name for name in state if "lora" in name} == model.trained_shapes().keys() < state.keys()
    if saved_by == "DeepSpeed":
        state = {name: state[name] for name in model.trained_shapes()}
    write_directory(cfg, state, tmp_path)
    written = load_file(tmp_path / "model.safetensors")
    trained = {name.partition("base_model.model.")[2]: v for name, v in read_checkpoint(align.checkpoint(12)).items()}
    connector = {name: value for name, value in trained.items() if name.startswith("multi_modal_projector.")}
    assert len(connector) > 50
    assert [name for name, value in connector.items() if not torch.equal(written[name], value)] == []


def test_what_cannot_be_exported(tune: Any, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"none\.py does not exist; give an XTuner config"):
        export_checkpoint(tune.checkpoint(48), folder / "none.py", tmp_path / "hf")
    with pytest.raises(CheckpointError, match=r"iter_7\.pth does not exist; give an iter_N\.pth"):
        export_checkpoint(tune.work / "iter_7.pth", folder / CONFIG, tmp_path / "hf")
    torch.save({"state_dict": {"llm.other": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"does not fit this model: no place for llm\.other"):
        export_checkpoint(tmp_path / "other.pth", folder / CONFIG, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
    (tmp_path / "hf").mkdir()
    shutil.copy(folder / CONFIG, tmp_path / "hf" / "mine.py")
    with pytest.raises(PathPluginsError, match="is not an empty directory"):
        export_checkpoint(tune.checkpoint(48), folder / CONFIG, tmp_path / "hf")
