"""Attention of class tokens, registers between them and the patches or not."""

import pytest
import torch

from pathplugins.models.towers.cls_attention import attention_of, input_of, resolve_layer


@pytest.mark.parametrize("prefix", [1, 3])
def test_shares_of_class_and_register_tokens_are_dropped(prefix: int) -> None:
    query, keys = torch.randn(2, 1, 5), torch.randn(2, prefix + 7, 5)
    found = attention_of(query, keys, prefix=prefix)
    whole = ((query @ keys.mT)[:, 0] / 5**0.5).softmax(-1)
    torch.testing.assert_close(found.weights, whole[:, prefix:].flatten())
    assert torch.equal(found.keys, keys[:, prefix:].reshape(14, 5))


def test_the_input_of_a_layer_is_seen_while_the_block_lasts() -> None:
    layer = torch.nn.Linear(2, 2)
    with input_of(layer) as seen:
        layer(torch.ones(1, 2))
    layer(torch.zeros(1, 2))
    assert [value.tolist() for value in seen] == [[[1.0, 1.0]]]


def test_the_last_layer_is_the_default() -> None:
    assert resolve_layer(None, 4) == 3
