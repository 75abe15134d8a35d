"""``neat_packing``: rows hold whole samples, and a step on them is one on the samples."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.packing import PackedCollator, fill, pack, refuse_packing, without_packing

pytestmark = pytest.mark.host


@pytest.mark.parametrize(("seed", "least"), [(0, 0.97), (1, 0.97)])
def test_rows_are_full_of_whole_samples(seed: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(20, 400, 3000).tolist()
    rows = list(fill(lengths, rng.permutation(3000).tolist(), 1024))
    assert sorted(sample for row in rows for sample in row) == list(range(3000))
    sums = [sum(lengths[sample] for sample in row) for row in rows]
    assert max(sums) <= 1024
    assert sum(sums) / (1024 * len(rows)) > least
    assert abs(np.corrcoef([row[0] for row in rows], range(len(rows)))[0, 1]) < 0.3  # samples of a file are mixed
    assert list(fill([5, 3, 3, 9], [0, 1, 2, 3], 8)) == [[3], [0, 1], [2]]  # none is cut, a long one stands alone


def test_options_under_which_nothing_can_be_packed() -> None:
    model = SimpleNamespace(group_by_modality_length=False, flash_attn="fa2")
    data = SimpleNamespace(packing=True, neat_packing=True, streaming=False)
    refuse_packing(model, data, [])
    with pytest.raises(PathPluginsError, match="flash_attn: fa2 computes the loss inside the model, which use"):
        refuse_packing(model, data, ["use_dft_loss"])
    with pytest.raises(PathPluginsError, match="group_by_modality_length sorts samples by length"):
        refuse_packing(SimpleNamespace(group_by_modality_length=True), data, [])
    refuse_packing(model, SimpleNamespace(packing=False), ["use_dft_loss"])
    model.block_diag_attn = True
    plain = without_packing(model, SimpleNamespace(packing=True, neat_packing=True, cutoff_len=2047))
    assert vars(plain) == {"packing": False, "neat_packing": False, "cutoff_len": 2048}
    assert model.block_diag_attn is False


@pytest.fixture(scope="module")
def mixed(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Any, ...]]:
    """Tokenized texts and questions about no, one and two bags, with the collator and the processor of a run."""
    import llamafactory.train.tuner  # noqa: F401 - with the hook in place, in the order of a run
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_template_and_fix_tokenizer
    from llamafactory.data.loader import get_dataset
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    folder, bags = tmp_path_factory.mktemp("packed"), [str(toy.data / "bags" / f"few{n}.h5") for n in range(6)]
    asked = [("<image>?", bags[:1]), ("Hello?", []), ("<image>\nLike<image>?", bags[1:3]), ("Why?", [])]
    asked += [("Say what it is.<image>", [bag]) for bag in bags[3:]]
    said = {"from": "gpt", "value": "Mostly tumor tissue."}
    samples = [{"image": own, "conversations": [{"from": "human", "value": text}, said]} for text, own in asked]
    (folder / "mixed.json").write_text(json.dumps(samples))
    (folder / "texts.json").write_text(json.dumps([samples[1], samples[3], samples[1]]))
    info = {name: {"file_name": f"{name}.json", "formatting": "llava"} for name in ("mixed", "texts")}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    keys = {key: str(value) if isinstance(value, Path) else value for key, value in toy.model_keys.items()}
    keys["vision_config"] = json.loads(keys["vision_config"])
    keys |= {"model_name_or_path": "custom_llava", "template": "custom_vqa_llama3", "stage": "sft", "do_train": True}
    keys |= {"dataset_dir": str(folder), "max_steps": 1, "output_dir": str(folder / "out"), "report_to": "none"}

    def made(name: str, **options: Any) -> tuple[Any, ...]:
        model_args, data_args, training_args, _, _ = get_train_args({**keys, "dataset": name, **options})
        module = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
        found = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
        reader = copy.copy(module["processor"])
        reader.sampling_epoch = 3  # as in training: which patches are drawn depends on the tokens of their sample
        collator = SFTDataCollatorWith4DAttentionMask(
            template=template, model=None, pad_to_multiple_of=8, **{**module, "processor": reader}
        )
        return found, collator, model_args

    return made


@pytest.mark.parametrize("name", ["mixed", "texts"])
@pytest.mark.parametrize("mode", ["random_sample", "prompt_topk"])
def test_a_batch_of_rows_is_the_batch_of_their_samples(mixed: Callable[..., Any], name: str, mode: str) -> None:
    import torch
    from transformers import AutoModelForImageTextToText

    found, collator, model_args = mixed(name, vision_feature_select_mode=mode, patches_per_wsi=8, image_seq_length=4)
    model = AutoModelForImageTextToText.from_pretrained(model_args.model_name_or_path).eval()
    longest = max(map(len, found["input_ids"]))
    packed = pack(found, 2 * longest, seed=0, say=True)
    assert 1 < len(packed) < len(found) or name == "texts"
    rows = [packed[number] for number in range(len(packed))]
    assert [len(row["input_ids"]) for row in rows] == [sum(len(s["input_ids"]) for s in row["samples"]) for row in rows]
    order = [int(sample) for row in packed.rows for sample in row]
    plain = collator([dict(found[sample]) for sample in order])
    batch = PackedCollator(collator)(rows)
    assert batch["input_ids"].shape == batch["position_ids"].shape
    assert (len(batch["input_ids"]), batch["input_ids"].shape[1] % 8) == (len(packed), 0)
    assert int(batch["attention_mask"].sum()) == int(plain["attention_mask"].sum()) == sum(map(len, found["input_ids"]))
    vision = {key for key in plain if key.startswith("patch_")}
    assert vision
    assert all(torch.equal(plain[key], batch[key]) for key in vision)
    wanted, got = model(**plain).loss, model(**batch).loss
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_a_run_trains_on_rows(toy: Any, quick: dict[str, Any], run: Callable[..., Any], tmp_path: Path) -> None:
    keys = {**quick, "dataset": "few_vqa", "eval_dataset": "few_vqa", "output_dir": tmp_path / "out"}
    keys |= {"neat_packing": True, "num_train_epochs": 2, "per_device_train_batch_size": 1, "logging_steps": 1}
    keys |= {"gradient_accumulation_steps": 1, "save_steps": 999, "eval_strategy": "epoch"}
    keys |= {"load_best_model_at_end": False, "do_eval": True, "per_device_eval_batch_size": 8}
    done = run("train", "wsi_llava_stage2.yaml", keys, rc=None)
    if "Neat packing is incompatible with transformers" in done.log:
        pytest.skip("this LLaMA-Factory refuses neat_packing with the Transformers it stands on, before we are asked")
    assert done.rc == 0, done.log[-6000:]
    (said,) = [line for line in done.log.splitlines() if "neat_packing: 8 samples in" in line]
    rows = int(said.split(" samples in ")[1].split()[0])
    assert 1 < rows < 8
    assert done.state()["max_steps"] == 2 * rows
    assert done.logged("loss")
    assert len(done.logged("eval_loss")) == 2  # on samples, as without packing
