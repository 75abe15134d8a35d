"""The epoch reaches the dataset, in data workers that are running too, and slides draw other patches by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset
from xtuner.dataset.samplers import LengthGroupedSampler

from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.samplers import EpochLengthGroupedSampler, EpochSampler, ModalityLengthSampler

pytestmark = pytest.mark.host

TOWER = {"in_chans": 10, "embed_dim": 24, "depth": 2, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
PARTS = {"llm": "tiny-untrained-llama", "vision_config": TOWER, "random_vision_seed": 0}
PARTS |= {"image_seq_length": 6, "patches_per_wsi": 7}
ROWS = (40, 33, 5)  # patches of the bags; the last has fewer than are read


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a config says of three questions about three slides."""
    folder, samples = tmp_path_factory.mktemp("slides"), []
    size = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    size |= {"level0_width": 51_200, "level0_height": 25_600}
    for rows in ROWS:
        cells = np.stack([np.arange(rows) // 9, np.arange(rows) % 9], 1)  # (row, column)
        features = np.arange(rows * 10, dtype=np.float32).reshape(rows, 10)  # [N, D], all values different
        side = BagAttributes(slide_id=f"s{rows}", encoder="none", **size)
        write_bag(folder / f"s{rows}.h5", [features], cells * 512, side)
        said = [{"from": "human", "value": f"<image>\nGrade of {rows}?"}, {"from": "gpt", "value": "Two."}]
        samples.append({"id": f"s{rows}", "image": f"s{rows}.h5", "conversations": said})
    (folder / "train.json").write_text(json.dumps(samples))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(folder / "cache"))
        yield {
            **{"model": PARTS, "data_path": str(folder / "train.json"), "image_folder": str(folder)},
            "prompt_template": "llama3_chat",
        }


@pytest.fixture
def load(options: dict[str, Any]) -> Callable[..., Any]:
    """A data loader, built from a config as XTuner builds it."""

    def load(sampler: type = EpochSampler, seed: int = 0, **changes: Any) -> Any:
        grouped = {"length_property": "modality_length", "per_device_batch_size": 2}
        own = grouped if issubclass(sampler, LengthGroupedSampler) else {"shuffle": True}
        config = {
            **{"dataset": {"type": PathologyDataset, **options}, "batch_size": 2, "num_workers": 0},
            **{"sampler": {"type": sampler, **own}, "collate_fn": {"type": collate, "model": PARTS}, **changes},
        }
        return Runner.build_dataloader(config, seed=seed)

    return load


def drawn(loader: Any, epochs: int = 3) -> list[dict[int, list[float]]]:
    """Per epoch: patches of a slide -> the first feature of those that were read."""
    seen = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        of_slide: dict[int, list[float]] = {}
        for batch in loader:
            data = batch["data"]
            for features, ids in zip(
                data["patch_features"].split(data["patch_counts"].tolist()), data["input_ids"].tolist(), strict=True
            ):
                text = loader.dataset.processor.tokenizer.decode(ids)
                rows = next(rows for rows in ROWS if f"Grade of {rows}?" in text)
                of_slide[rows] = features[:, 0].tolist()
        assert set(of_slide) == set(ROWS)
        seen.append(of_slide)
    return seen


@pytest.mark.parametrize("workers", [0, 1], ids=["here", "in a worker"])
@pytest.mark.parametrize("sampler", [EpochSampler, EpochLengthGroupedSampler])
def test_every_epoch_draws_anew_and_repeats(load: Callable[..., Any], sampler: type, workers: int) -> None:
    persistent = {"num_workers": workers, "persistent_workers": bool(workers)}
    first, second, third = drawn(load(sampler, **persistent))
    for rows in (40, 33):
        assert len(first[rows]) == 7
        assert first[rows] != second[rows] != third[rows] != first[rows], "another choice every epoch"
    assert first[5] == second[5] == [0.0, 10.0, 20.0, 30.0, 40.0], "nothing to choose from"
    assert drawn(load(sampler), 3) == [first, second, third], "the same again, whatever reads the slides"


def test_a_draw_depends_on_nothing_but_sample_and_epoch(load: Callable[..., Any]) -> None:
    together, alone = drawn(load(seed=1, batch_size=3)), drawn(load(seed=2, batch_size=1))
    assert together == alone


def test_without_our_sampler_every_epoch_draws_the_same(load: Callable[..., Any]) -> None:
    """Why the sampler is there: this must not hold for ours."""
    first, second = drawn(load(DefaultSampler), 2)
    assert first == second


@pytest.mark.parametrize("base", [DefaultSampler, LengthGroupedSampler])
def test_the_order_is_that_of_the_sampler_it_stands_for(load: Callable[..., Any], base: type) -> None:
    ours = next(kind for kind in (EpochSampler, EpochLengthGroupedSampler) if issubclass(kind, base))
    orders = []
    for kind in (base, ours):
        sampler = load(kind, seed=3).sampler
        orders.append([])
        for epoch in range(6):
            sampler.set_epoch(epoch)
            orders[-1].append(list(sampler))
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders[0]}) > 1


def test_a_concatenation_hands_the_epoch_on(options: dict[str, Any]) -> None:
    parts = [PathologyDataset(**options), PathologyDataset(**options, max_dataset_length=2)]
    EpochSampler(ConcatDataset(parts), seed=0).set_epoch(7)
    assert [part[0]["epoch"] for part in parts] == [7, 7]
    EpochSampler([1, 2], seed=0).set_epoch(7)  # a dataset that does not ask for it


class Lengths(list):
    """A data set that is asked for the lengths of its samples alone."""

    modality_length = property(list)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        (EpochSampler, {}),
        (EpochLengthGroupedSampler, {"length_property": "modality_length", "per_device_batch_size": None}),
        (ModalityLengthSampler, {"batch_size": None}),
    ],
)
@pytest.mark.parametrize("samples", [48, 50], ids=["whole", "rest"])
def test_any_number_of_processes_shares_the_samples_of_an_iteration(
    monkeypatch: pytest.MonkeyPatch, sampler: type, options: dict[str, Any], samples: int
) -> None:
    rng = np.random.default_rng(0)
    dataset = Lengths((rng.integers(5, 60, samples) * rng.choice([1, -1], samples)).tolist())

    def iterations(world: int, batch: int) -> list[set[int]]:
        taken: list[set[int]] = [set() for _ in range(-(-samples // 4))]
        for rank in range(world):
            for module in ("mmengine.dataset.sampler", "xtuner.dataset.samplers.length_grouped"):
                monkeypatch.setattr(f"{module}.get_dist_info", lambda rank=rank: (rank, world))
            own = {name: batch if value is None else value for name, value in options.items()}
            made = sampler(dataset, **own, seed=7)
            made.set_epoch(2)
            for place, sample in enumerate(made):
                taken[place // batch].add(sample)
        return taken

    alone, shared = iterations(1, 4), iterations(2, 2)
    assert alone[:-1] == shared[:-1]
    assert alone[-1] <= shared[-1], "which begins anew where the last iteration is not full"
    assert set().union(*alone) == set(range(samples))
