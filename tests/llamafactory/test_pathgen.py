"""PathGen-LLaVA by its shipped files: both phases on two processes, and an answer (features P20, P21, P33)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
import torch
import yaml
from safetensors.torch import load_file

pytestmark = pytest.mark.host

TOWER = (
    '{"hidden_size":48,"intermediate_size":96,"num_hidden_layers":3,"num_attention_heads":4,'
    '"image_size":32,"patch_size":8}'
)
TOKENS = 16
"""Of an image: 32 px in patches of 8."""
LAUNCH = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}
"""P33: as ``deepspeed llava/train/train_mem.py`` is started in the published recipe."""


def entry(name: str) -> dict[str, Any]:
    columns = {"messages": "conversations", "images": "images"}
    return {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns}


def row(image: str | None, *turns: tuple[str, str]) -> dict[str, Any]:
    """As `pathdata convert --to sharegpt` writes it."""
    said = [{"from": who, "value": text} for turn in turns for who, text in zip(("human", "gpt"), turn, strict=True)]
    return {"id": str(image), "conversations": said, "images": [image] if image else []}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> SimpleNamespace:
    """Drawn images with captions, and texts without an image, under the names of the shipped files; a tiny Vicuna."""
    from pathplugins.data.formats.drawn import QUESTION, caption, read_drawn

    del environment
    root = tmp_path_factory.mktemp("pathgen")
    records, _ = read_drawn(root / "images", images=16)
    said = {record.id: caption(record.meta["kind"]) for record in records}
    before, behind = f"<image>\n{QUESTION}", f"{QUESTION}\n<image>"
    rows = [row(f"{name}.png", (before if n % 2 else behind, text)) for n, (name, text) in enumerate(said.items())]
    texts = [row(None, ("Hello?", "No image."), ("And?", "None."))] * 5
    (root / "pathgen_initial.json").write_text(json.dumps(rows))
    (root / "pathgen_desp.json").write_text(json.dumps([*rows, *texts]))
    (root / "held.json").write_text(json.dumps(rows[:8]))
    known = {name: entry(name) for name in ("pathgen_initial", "pathgen_desp", "held")}
    (root / "dataset_info.json").write_text(json.dumps(known))
    llm = reference.tiny_vicuna(root / "llm", [QUESTION, *said.values(), "No image.", "None."] * 4)
    return SimpleNamespace(root=root, llm=llm, question=QUESTION, said=said, records=records)


@pytest.fixture(scope="module")
def keys(work: SimpleNamespace) -> dict[str, Any]:
    """What a tiny model and a processor without a GPU want different from the shipped files."""
    return {
        "llm_name_or_path": work.llm,
        "vision_tower": "null",
        "random_vision_seed": 0,
        "vision_config": TOWER,
        "dataset_dir": work.root,
        "media_dir": work.root / "images",
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "bf16": False,
        "tf32": False,
        "plot_loss": False,
    }


@pytest.fixture(scope="module")
def phase1(run: Callable[..., Any], work: SimpleNamespace, keys: dict[str, Any]) -> Any:
    own = {"output_dir": work.root / "phase1", "per_device_train_batch_size": 4, "num_train_epochs": 2}
    return run("train", "pathgen_phase1.yaml", {**keys, **own}, env=LAUNCH)


@pytest.fixture(scope="module")
def phase2(run: Callable[..., Any], work: SimpleNamespace, keys: dict[str, Any], phase1: Any) -> Any:
    own = {"output_dir": work.root / "phase2", "per_device_train_batch_size": 4, "num_train_epochs": 30}
    own |= {"learning_rate": 3e-3, "eval_dataset": "held", "eval_strategy": "steps", "eval_steps": 90}
    own |= {"do_sanity_check": True}
    own |= {"projector_path": "null", "pretrain_mm_mlp_adapter": phase1.out / "mm_projector.bin"}
    return run("train", "pathgen_phase2.yaml", {**keys, **own}, env=LAUNCH)


def composed(run: Any) -> dict[str, torch.Tensor]:
    """The weights a run has started from, by the log of its first lines."""
    import re

    folder = Path(re.findall(r"/\S*/custom_llava-\w+-v[\w.]+", run.log)[0])
    return {key: value for path in folder.glob("*.safetensors") for key, value in load_file(path).items()}


def changed(run: Any) -> set[str]:
    """Parts of the model that a run has trained."""
    before, after = composed(run), load_file(run.out / "model.safetensors")
    assert before.keys() == after.keys()
    return {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}


def test_p20_phase_1_trains_the_connector_alone(phase1: Any) -> None:
    assert changed(phase1) == {"multi_modal_projector"}
    saved, model = torch.load(phase1.out / "mm_projector.bin"), load_file(phase1.out / "model.safetensors")
    from pathplugins.models.compose.projector import from_published

    ours = from_published(saved)
    assert len(ours) == 4
    assert all(torch.equal(value, model[f"multi_modal_projector.{key}"]) for key, value in ours.items())
    losses = list(phase1.logged("loss").values())
    assert len(losses) == 2 * 16 // 8
    assert losses[-1] < losses[0]


def test_p21_phase_2_takes_it_over_and_trains_the_language_model(phase1: Any, phase2: Any) -> None:
    begun, ended = composed(phase2), load_file(phase1.out / "model.safetensors")
    connector = [key for key in ended if key.startswith("multi_modal_projector.")]
    assert len(connector) == 4
    assert all(torch.equal(begun[key], ended[key]) for key in connector)
    assert changed(phase2) == {"multi_modal_projector", "model", "lm_head"}


def test_p21_the_answers_come_from_the_images(phase2: Any) -> None:
    seen, blind = (list(phase2.logged(key).values())[-1] for key in ("eval_loss", "eval_sanity_check_loss"))
    assert seen < blind / 2


def test_the_trained_model_is_asked_as_llava_asks(phase2: Any, work: SimpleNamespace) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model
    from pathplugins.commands.prompting import conversation

    model = load_model(phase2.out, device="cpu")
    processor = model.processor
    image, text = work.records[0].images[0], conversation(processor.tokenizer, work.question)
    own = lambda text: processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    ids, _ = reference.v1([(f"<image>\n{work.question}", "")], own)
    wide = [t for token in ids for t in ([processor.image_token_id] * TOKENS if token == reference.IMAGE else [token])]
    assert processor([text], [[image]])["input_ids"].tolist() == [wide]
    said = [ask(model, work.question, image=record.images[0], max_new_tokens=24) for record in work.records[:8]]
    assert sum(text == work.said[record.id] for text, record in zip(said, work.records, strict=False)) >= 6


@pytest.fixture(scope="module")
def pipeline(work: SimpleNamespace, keys: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Ids and labels of conversations, by LLaMA-Factory's own processor of samples."""
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place
    from llamafactory.data.processor import SupervisedDatasetProcessor
    from llamafactory.data.template import TEMPLATES

    from pathplugins.commands.loading import load_processor
    from pathplugins.llamafactory.arguments import PathModelArguments

    parts = {key: str(keys[key]) for key in ("llm_name_or_path", "vision_config")} | {"random_vision_seed": 0}
    parts |= {"vision_model_name": "clip", "mm_projector_type": "mlp2x_gelu", "image_aspect_ratio": "pad"}
    made = PathModelArguments(model_name_or_path="custom_llava", **parts)
    processor = load_processor(made.model_name_or_path)

    def process(template: str, conversations: list[Any]) -> dict[str, Any]:
        data = SimpleNamespace(cutoff_len=4096, train_on_prompt=False, mask_history=False)
        ours = SupervisedDatasetProcessor(TEMPLATES[template], processor.tokenizer, processor, data)
        said = [
            [
                {"role": who, "content": text}
                for turn in turns
                for who, text in zip(("user", "assistant"), turn, strict=True)
            ]
            for turns in conversations
        ]
        columns = {"_prompt": [one[:-1] for one in said], "_response": [one[-1:] for one in said]}
        images = [sum(question.count("<image>") for question, _ in turns) for turns in conversations]
        columns["_images"] = [[work.records[0].images[0]] * count for count in images]
        columns |= {f"_{name}": [None] * len(said) for name in ("system", "tools", "videos", "audios")}
        return ours.preprocess_dataset(columns)

    process.processor = processor
    return process


def wide(ids: list[int], labels: list[int], image: int) -> tuple[list[int], list[int]]:
    """With as many tokens for the image as it has."""
    counts = [TOKENS if token == reference.IMAGE else 1 for token in ids]
    tokens = [image if token == reference.IMAGE else token for token in ids]
    learnt = [reference.MASKED if token == reference.IMAGE else label for token, label in zip(ids, labels, strict=True)]
    return tuple([t for token, n in zip(row, counts, strict=True) for t in [token] * n] for row in (tokens, learnt))


def test_p21_v1_ids_and_labels_are_those_of_llava(pipeline: Any) -> None:
    own = lambda text: pipeline.processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    got = pipeline("pathgen_v1", list(reference.CONVERSATIONS.values()))
    assert len(got["input_ids"]) == 8
    for number, turns in enumerate(reference.CONVERSATIONS.values()):
        wanted = wide(*reference.v1(turns, own), pipeline.processor.image_token_id)
        assert (got["input_ids"][number], got["labels"][number]) == wanted


def test_p20_plain_ids_and_labels_are_those_of_llava(pipeline: Any) -> None:
    own = lambda text: pipeline.processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    turns = [[("<image>\nDescribe.", "Two\n\nlines µ ")], [("Describe.\n<image>", "Cells.")]]
    got = pipeline("pathgen_plain", turns)
    for number, one in enumerate(turns):
        wanted = wide(*reference.plain(one, own), pipeline.processor.image_token_id)
        assert (got["input_ids"][number], got["labels"][number]) == wanted


def test_nothing_is_learnt_of_what_llava_masks(pipeline: Any) -> None:
    got = pipeline("pathgen_v1", [turns for turns in reference.LEARNT_OF_NOTHING.values() if turns[0][1]])
    assert [set(labels) for labels in got["labels"]] == [{reference.MASKED}] * 2


def test_what_llava_masks_is_reported_by_file_and_row(
    run: Callable[..., Any], work: SimpleNamespace, keys: dict[str, Any], tmp_path: Path
) -> None:
    rows = [row("absent.png", ("<image>", "Cells."))]
    rows += [row(f"{work.records[0].id}.png", *turns) for turns in reference.LEARNT_OF_NOTHING.values()]
    (tmp_path / "bad.json").write_text(json.dumps([*rows, row(None, ("Hello?", "Yes."))]))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"bad": entry("bad")}))
    own = {"dataset": "bad", "dataset_dir": tmp_path, "output_dir": tmp_path / "out", "projector_path": "null"}
    as_shipped = {key: value for key, value in keys.items() if key not in ("bf16", "tf32")}
    done = run("train", "pathgen_phase2.yaml", {**as_shipped, **own}, rc=1)
    assert "zero3.json is left out, one process has nobody to share with" in done.log
    assert "no GPU here: bf16, tf32 left out" in done.log
    for number, said in enumerate(("missing file", "empty answer", "'ASSISTANT:' and a blank", "holds </s>"), start=1):
        assert any(f"bad.json:{number}: " in line and said in line for line in done.log.splitlines()), said
    assert "4 of 5 samples cannot be used" in done.log
    assert not list((tmp_path / "out").glob("checkpoint-*"))


PUBLISHED = {
    "finetuning_type": "full",
    "freeze_vision_tower": True,
    "freeze_multi_modal_projector": False,
    "vision_model_name": "clip",
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_layer": -2,
    "mm_use_im_start_end": False,
    "mm_use_im_patch_token": False,
    "bf16": True,
    "tf32": True,
    "num_train_epochs": 1,
    "gradient_accumulation_steps": 1,
    "weight_decay": 0.0,
    "warmup_ratio": 0.03,
    "lr_scheduler_type": "cosine",
    "cutoff_len": 2048,
    "save_total_limit": 1,
    "dataloader_num_workers": 4,
    "logging_steps": 1,
}
PHASES = {
    "phase1": {
        "template": "pathgen_plain",
        "dataset": "pathgen_initial",
        "freeze_language_model": True,
        "per_device_train_batch_size": 32,
        "learning_rate": 1e-3,
        "save_steps": 24000,
        "deepspeed": "deepspeed/zero2.json",
    },
    "phase2": {
        "template": "pathgen_v1",
        "dataset": "pathgen_desp",
        "freeze_language_model": False,
        "per_device_train_batch_size": 16,
        "learning_rate": 2e-5,
        "save_steps": 50000,
        "deepspeed": "deepspeed/zero3.json",
        "projector_path": "saves/pathgen/phase1",
        "image_aspect_ratio": "pad",
        "group_by_modality_length": True,
    },
}


@pytest.mark.parametrize("phase", PHASES)
def test_p20_p21_published_values(phase: str, configs: Path) -> None:
    found = yaml.safe_load((configs / f"pathgen_{phase}.yaml").read_text())
    wanted = {**PUBLISHED, **PHASES[phase]}
    assert {key: found.get(key) for key in wanted} == wanted
    assert found["llm_name_or_path"].endswith("vicuna-13b-v1.5")
    assert json.loads((configs / "dataset_info.json").read_text())[found["dataset"]] == entry(found["dataset"])


def test_two_names_for_one_connector() -> None:
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    with pytest.raises(ValueError, match="two names of the connector's weights"):
        PathModelArguments(model_name_or_path="custom_llava", projector_path="a", pretrain_mm_mlp_adapter="b")


def test_deepspeed_is_found_beside_the_yaml(configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import llamafactory.hparams.parser as parser

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "0")  # else nothing is left of it
    monkeypatch.setattr(sys, "argv", ["train", str(configs / "pathgen_phase1.yaml"), "dataset=null"])
    assert parser.read_args()["deepspeed"] == str(configs / "deepspeed/zero2.json")
    (tmp_path / "deepspeed").mkdir()
    (tmp_path / "deepspeed" / "zero2.json").write_text("{}")
    assert parser.read_args()["deepspeed"] == "deepspeed/zero2.json"
