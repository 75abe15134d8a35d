"""Inputs are those of the processor, the files of the next batch are read meanwhile, and no more of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pathplugins.commands.batches import Prompts, inputs_ahead
from pathplugins.core.errors import PathPluginsError

ASK = "<image>\nWhat does this slide show?"


@pytest.fixture(scope="module")
def processor(talker: Path) -> Any:
    from pathplugins.commands.loading import load_processor

    return load_processor(talker, allow_other_encoder=True)


@pytest.fixture(scope="module")
def bags(write_h5: Callable[..., Path]) -> list[Path]:
    return [write_h5(f"b{rows}", rows, width=64) for rows in (3, 14, 9, 7, 11)]


def test_inputs_are_those_of_the_processor(processor: Any, bags: list[Path]) -> None:
    """Of batches of different sizes, one of them without any image."""
    batches = [
        Prompts([ASK, f"{ASK} Why?"], [[bags[0]], [bags[1]]]),
        Prompts(["Why?"], [[]]),
        Prompts([ASK], [[bags[2]]]),
    ]
    made = [*inputs_ahead(processor, batches)]
    assert len(made) == 3
    for inputs, batch in zip(made, batches, strict=True):
        wanted = processor(batch.texts, batch.images)
        assert inputs.keys() == wanted.keys()
        assert all(torch.equal(inputs[name], wanted[name]) for name in wanted)


def test_bags_of_a_case_share_its_rows(processor: Any, bags: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor.image_processor, "patches_per_case", 8)
    batch = Prompts([f"<image>{ASK}", ASK], [bags[1:3], [bags[0]]])
    [made] = inputs_ahead(processor, [batch])
    assert made["patch_counts"].tolist() == [4, 4, 3]
    wanted = processor(batch.texts, batch.images)
    assert all(torch.equal(made[name], wanted[name]) for name in wanted)


def test_one_batch_is_read_ahead(processor: Any, bags: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, bool]] = []
    own = type(processor.image_processor).__call__

    def noted(self: Any, images: Any, *args: Any, **kwargs: Any) -> Any:
        read.append((Path(images[0]).stem, threading.current_thread() is threading.main_thread()))
        return own(self, images, *args, **kwargs)

    monkeypatch.setattr(type(processor.image_processor), "__call__", noted)
    seen = []
    for _ in inputs_ahead(processor, [Prompts([ASK], [[bag]]) for bag in bags]):
        deadline = time.monotonic() + 20
        while len(read) < min(len(seen) + 2, len(bags)) and time.monotonic() < deadline:
            time.sleep(0.01)  # the batch is being answered
        seen.append(len(read))
    assert seen == [2, 3, 4, 5, 5]
    assert read == [(bag.stem, False) for bag in bags]


def test_a_file_that_cannot_be_read_is_named_in_its_place(processor: Any, bags: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(bags[1].read_bytes()[:3000])
    made = inputs_ahead(processor, [Prompts([ASK], [[bag]]) for bag in (bags[0], cut, bags[2])])
    next(made)
    with pytest.raises(PathPluginsError, match=r"cut\.h5"):
        next(made)
    assert [thread for thread in threading.enumerate() if "ThreadPool" in thread.name] == []
