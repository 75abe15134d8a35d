"""Gated attention against the formulas in float64, and the masking and cosine of several branches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pathplugins.classify.probe.networks import AttentionProbe, mask_highest, mean_cosine


def softmax(values: np.ndarray) -> np.ndarray:
    shifted = np.exp(values - values.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def reference(weights: dict[str, np.ndarray], features: np.ndarray, label: int) -> float:
    """The loss by the formulas, written with NumPy alone."""
    x = (features - weights["mean"]) / weights["scale"]
    h = np.maximum(x @ weights["embed.weight"].T, 0)
    v = np.tanh(h @ weights["gate_tanh.weight"].T + weights["gate_tanh.bias"])
    u = 1 / (1 + np.exp(-(h @ weights["gate_sigmoid.weight"].T + weights["gate_sigmoid.bias"])))
    a = softmax(((v * u) @ weights["score.weight"].T + weights["score.bias"]).T)  # [H, N]
    loss = -np.log(softmax(weights["classifier.weight"] @ (a.mean(0) @ h) + weights["classifier.bias"])[label])
    heads = len(a)
    if heads == 1:
        return float(loss)
    for head in range(heads):
        name = f"head_classifiers.{head}"
        logits = weights[f"{name}.weight"] @ (a[head] @ h) + weights[f"{name}.bias"]
        loss -= np.log(softmax(logits)[label]) / heads
    pairs = [(one, other) for one in range(heads) for other in range(one)]
    cosines = [a[one] @ a[other] / np.linalg.norm(a[one]) / np.linalg.norm(a[other]) for one, other in pairs]
    return float(loss + np.mean(cosines))


@pytest.mark.parametrize("heads", [1, 5])
def test_value_and_gradient_are_those_of_the_formulas(heads: int) -> None:
    random = np.random.default_rng(0)
    features = random.standard_normal((13, 6))
    torch.manual_seed(1)
    mean, scale = torch.from_numpy(random.standard_normal(6)), torch.from_numpy(random.random(6) + 0.5)
    network = AttentionProbe(6, 3, heads, mean=mean, scale=scale).double()
    loss = network(torch.from_numpy(features)).loss(2)
    loss.backward()
    weights = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
    assert loss.item() == pytest.approx(reference(weights, features, 2), abs=1e-12)
    for name, value in network.named_parameters():
        assert value.grad is not None
        for place in random.choice(value.numel(), min(4, value.numel()), replace=False):
            at, step = np.unravel_index(place, tuple(value.shape)), 1e-6
            ends = []
            for sign in (1, -1):
                moved = {**weights, name: weights[name].copy()}
                moved[name][at] += sign * step
                ends.append(reference(moved, features, 2))
            assert value.grad[at].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8), name


def test_six_of_the_ten_highest_of_each_row_are_masked() -> None:
    scores = torch.randn(5, 31, generator=torch.Generator().manual_seed(0))
    masked = mask_highest(scores, torch.Generator().manual_seed(1))
    gone = masked == -1e9
    assert gone.sum(1).tolist() == [6] * 5
    assert torch.equal(masked[~gone], scores[~gone])
    assert all(
        set(row.nonzero()[:, 0].tolist()) <= set(each.topk(10).indices.tolist())
        for row, each in zip(gone, scores, strict=True)
    )
    assert len({tuple(row.tolist()) for row in gone}) > 1
    assert (mask_highest(torch.randn(2, 1), torch.Generator()) > -1e8).all()  # a bag of one patch keeps it


def test_masks_are_drawn_in_training_of_several_branches_alone() -> None:
    features, zero, one = torch.randn(20, 4), torch.zeros(4), torch.ones(4)
    for heads, changed in ((1, False), (5, True)):
        network = AttentionProbe(4, 2, heads, mean=zero, scale=one)
        same = torch.equal(network(features).attention, network(features, torch.Generator()).attention)
        assert same is not changed


def test_the_cosine_is_one_for_equal_rows_and_zero_for_apart() -> None:
    assert mean_cosine(torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])).item() == pytest.approx(1)
    assert mean_cosine(torch.eye(3)).item() == 0
