"""The prefix-LM mask against its definition, written out (feature W34)."""

from __future__ import annotations

import pytest
import torch

from pathplugins.models.custom_llava.prefix_lm import prefix_lm_mask

MASK = [[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1]]
LABELS = [[-100, -100, -100, -100, -100, 8, 9], [-100, -100, 5, -100, 6, -100, -100], [-100] * 7]


def may_see(query: int, key: int, valid: list[int], labels: list[int] | None) -> bool:
    if not valid[key]:
        return False
    first = next((i for i, label in enumerate(labels) if label != -100), len(labels)) if labels else len(valid)
    both_in_prompt = query < first and key < first and bool(valid[query])
    return key <= query or both_in_prompt


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_mask_is_its_definition(labelled: bool, dtype: torch.dtype) -> None:
    labels = torch.tensor(LABELS) if labelled else None
    got = prefix_lm_mask(torch.tensor(MASK), labels, torch.zeros(3, 7, 4, dtype=dtype))
    assert (got.shape, got.dtype) == ((3, 1, 7, 7), dtype)
    assert set(got.unique().tolist()) == {0.0, torch.finfo(dtype).min}
    for b in range(3):
        for query in range(7):
            for key in range(7):
                wanted = may_see(query, key, MASK[b], LABELS[b] if labelled else None)
                assert (got[b, 0, query, key] == 0) == wanted, (b, query, key)


def test_without_a_mask_nothing_is_padding() -> None:
    embeds = torch.zeros(3, 7, 4)
    everything = prefix_lm_mask(torch.ones(3, 7), torch.tensor(LABELS), embeds)
    assert torch.equal(prefix_lm_mask(None, torch.tensor(LABELS), embeds), everything)
