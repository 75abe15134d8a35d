"""The trainer knows our names, keeps its own, and its files stay as they were installed."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.host


@pytest.fixture
def said_by(
    prepared: Any, environment: dict[str, str], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program that has imported what LLaMA-Factory builds on, but not LLaMA-Factory."""

    def said_by(code: str, *words: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "program.py").write_text(code)
        line = [prepared.python, str(tmp_path / "program.py"), *map(str, words)]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=600, check=False)

    return said_by


def test_nothing_fails_when_a_run_imports_the_trainer(said_by: Callable[..., Any]) -> None:
    code = (
        "import sys; assert 'llamafactory' not in sys.modules\n"
        "import pathplugins.bootstrap as hook; hook.install(); import llamafactory.train.tuner\n"
        "print('failures:', hook.FAILURES)"
    )
    run = said_by(code)
    assert "failures: []" in run.stdout, run.stdout[-2000:] + run.stderr[-2000:]


def test_a_broken_adapter_does_not_break_the_trainer(said_by: Callable[..., Any]) -> None:
    code = (
        "import sys; assert 'llamafactory' not in sys.modules\n"
        "import pathplugins.bootstrap as hook\n"
        "name = 'llamafactory.data.template'\n"
        "hook.ADAPTERS[name] = 'no_such_adapter'\n"
        "hook.install()\n"
        "import llamafactory.data.template as template\n"
        "print('llama3' in template.TEMPLATES, [failed for failed, *_ in hook.FAILURES])\n"
    )
    run = said_by(code)
    assert run.stdout.strip().endswith("True ['llamafactory.data.template']"), run.stderr[-2000:]
    assert "0.9.3 to 0.9.5 tested" in run.stderr


def test_registering_twice_changes_nothing() -> None:
    import importlib

    from pathplugins.llamafactory import register

    modules = {name: importlib.import_module(name) for name in register.HOOKS}

    def snapshot() -> dict[str, Any]:
        found = {f"{name}:{key}": value for name, module in modules.items() for key, value in vars(module).items()}
        parser = modules["llamafactory.hparams.parser"]
        found["arguments"] = [tuple(getattr(parser, key)) for key in ("_TRAIN_ARGS", "_INFER_ARGS", "_EVAL_ARGS")]
        found["copyfrom"] = parser.ModelArguments.copyfrom.__func__
        found["templates"] = dict(modules["llamafactory.data.template"].TEMPLATES)
        found["visual"] = repr(modules["llamafactory.model.model_utils.visual"].COMPOSITE_MODELS)
        return {key: value for key, value in found.items() if not key.endswith("COMPOSITE_MODELS")}

    before = snapshot()
    for name, module in modules.items():
        register.apply(name, module)
    after = snapshot()
    assert [key for key in before if before[key] is not after[key] and before[key] != after[key]] == []


@pytest.fixture(scope="module")
def composed_directory(toy: Any) -> Path:
    import json

    from pathplugins.models.compose.compose import composed
    from pathplugins.models.compose.spec import ComposeSpec

    keys = toy.model_keys
    options = {"vision_tower": str(toy.tower), "vision_config": json.loads(keys["vision_config"])}
    return composed(ComposeSpec(llm=str(toy.llm), image_seq_length=12, patches_per_wsi=24, **options))


@pytest.mark.parametrize("tower", [True, False])
@pytest.mark.parametrize("projector", [True, False])
@pytest.mark.parametrize("language", [True, False])
def test_freezing_means_the_parts_it_names(
    composed_directory: Path, tower: bool, projector: bool, language: bool
) -> None:
    from llamafactory.hparams import FinetuningArguments, ModelArguments
    from llamafactory.model.adapter import init_adapter
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(composed_directory)
    model = AutoModelForImageTextToText.from_pretrained(composed_directory)
    freeze = {
        "freeze_vision_tower": tower,
        "freeze_multi_modal_projector": projector,
        "freeze_language_model": language,
    }
    arguments = FinetuningArguments(finetuning_type="full", pure_bf16=False, **freeze)
    model_args = ModelArguments(model_name_or_path=str(composed_directory))
    model = init_adapter(config, model, model_args, arguments, is_trainable=True)
    trained = {name.partition(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    fixed = {name.partition(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
    parts = {"vision_tower": tower, "multi_modal_projector": projector, "model": language}
    assert trained == {part for part, frozen in parts.items() if not frozen}
    assert not trained & fixed


def test_published_template_is_llama3_with_our_system_prompt(toy: Any) -> None:
    from llamafactory.data.template import TEMPLATES
    from transformers import AutoTokenizer

    from pathplugins.data.prompts import SYSTEM_PROMPT
    from pathplugins.llamafactory.templates import BASES

    tokenizer = AutoTokenizer.from_pretrained(toy.llm)
    turns = [
        {"role": "user", "content": "<image>\nWhich tissue?"},
        {"role": "assistant", "content": "Stroma."},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "Yes."},
    ]
    ours, stock = TEMPLATES["custom_vqa_llama3"], TEMPLATES["llama3"]
    assert ours.encode_multiturn(tokenizer, turns) == stock.encode_multiturn(tokenizer, turns, SYSTEM_PROMPT)
    assert ours.encode_multiturn(tokenizer, turns, "Be brief.") == stock.encode_multiturn(tokenizer, turns, "Be brief.")
    assert (ours.default_system, stock.default_system) == (SYSTEM_PROMPT, "")
    offered = [base for base in BASES if base in TEMPLATES]
    assert len(offered) >= 5
    assert all(f"custom_vqa_{base}" in TEMPLATES for base in offered)


TEXT_ONLY = """
model_name_or_path: {llm}
stage: sft
do_train: true
finetuning_type: full
dataset_dir: {root}/data
dataset: words
template: llama3
output_dir: {root}/text_only
max_steps: 1
per_device_train_batch_size: 2
save_strategy: "no"
report_to: none
"""


@pytest.fixture(scope="module")
def words(toy: Any) -> Path:
    """A configuration that has nothing to do with us, and its data."""
    toy.info("words", {"file_name": "words.json"})
    (toy.data / "words.json").write_text('[{"instruction": "Next?", "input": "", "output": "Stroma."}]')
    path = toy.root / "text_only.yaml"
    path.write_text(TEXT_ONLY.format(llm=toy.llm, root=toy.root))
    return path


def test_a_text_model_trains_with_the_stock_trainer(said_by: Callable[..., Any], words: Path) -> None:
    code = (
        "import sys; assert 'llamafactory' not in sys.modules; sys.argv[0] = 'llamafactory-cli'\n"
        "from llamafactory.cli import main; main()\n"
        "print('imported:', *sys.modules)"
    )
    run = said_by(code, "train", words)
    assert run.returncode == 0, run.stderr[-6000:]
    assert "train_loss" in run.stdout + run.stderr
    imported = run.stdout.rpartition("imported:")[2].split()
    assert "pathplugins.llamafactory.stage_runs" in imported, "the hook was on"
    assert "pathplugins.llamafactory.trainer" not in imported


def test_switched_off_the_trainer_knows_none_of_our_keys(
    run: Callable[..., Any], quick: dict[str, Any], tmp_path: Path
) -> None:
    env = {"PATHPLUGINS_DISABLE": "1"}
    log = run("train", "wsi_llava_stage2.yaml", {**quick, "output_dir": tmp_path}, env=env, rc=1).log
    assert "Some keys are not used by the HfArgumentParser" in log
    assert "vision_tower" in log


def test_older_and_newer_signatures_of_the_composite_table() -> None:
    from pathplugins.llamafactory.register import on_visual

    said: dict[str, Any] = {}

    def older(
        model_type: str, projector_key: str = "", vision_model_keys: Any = None, language_model_keys: Any = None
    ) -> None:
        said.update(locals())

    def newer(
        model_type: str, projector_keys: Any = None, vision_model_keys: Any = None, language_model_keys: Any = None
    ) -> None:
        said.update(locals())

    on_visual(SimpleNamespace(_register_composite_model=older))
    assert said["projector_key"] == "multi_modal_projector"
    on_visual(SimpleNamespace(_register_composite_model=newer))
    assert said["projector_keys"] == ["multi_modal_projector"]


@pytest.mark.usefixtures("stage3")
def test_files_of_the_trainer_are_as_installed() -> None:
    files = [file for file in importlib.metadata.files("llamafactory") or [] if file.hash is not None]
    assert len(files) > 100
    changed = []
    for file in files:
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            changed.append(str(file))
    assert changed == []


def test_what_is_replaced_is_what_the_list_says() -> None:
    """On a second copy of each module, which the hook has not seen."""
    import importlib.util

    from pathplugins.core import hosts
    from pathplugins.llamafactory import register

    replaced = set()
    for name, hook in register.HOOKS.items():
        spec = importlib.util.find_spec(name)
        copy = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(copy)
        lists = [key for key, value in vars(copy).items() if isinstance(value, list)]
        for key in lists:  # with the class that the hook of the first copy has taken out
            setattr(
                copy, key, [cls.__mro__[2] if cls.__name__ == "PathModelArguments" else cls for cls in vars(copy)[key]]
            )
        before = {key: list(value) if key in lists else value for key, value in vars(copy).items()}
        hook(copy)
        replaced |= {f"{name}:{key}" for key in before if key in lists and before[key] != vars(copy)[key]}
        replaced |= {f"{name}:{key}" for key in before if key not in lists and before[key] is not vars(copy)[key]}
    from llamafactory.hparams import ModelArguments

    replaced |= {"llamafactory.hparams:ModelArguments.copyfrom"} if ModelArguments.copyfrom.by_pathplugins else set()
    listed = [point for point in hosts.LLAMAFACTORY if point.path.startswith("llamafactory.")]
    assert replaced == {point.path for point in listed if point.replaced == "always"}
