"""Logistic regression on means: the optimum, and a penalty that the validation part chooses."""

from __future__ import annotations

import numpy as np
import torch

from pathplugins.classify.probe import linear


def drawn(slides: int, width: int, told: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    labels = np.arange(slides) % 3
    means = random.standard_normal((slides, width)) + 40
    means[np.arange(slides), labels] += told
    return means, labels


def test_the_gradient_vanishes_at_the_solution() -> None:
    means, labels = drawn(45, 6, 1.0)
    x, y = means - means.mean(0), labels
    weights, bias = linear._solve(torch.from_numpy(x), torch.from_numpy(y), 3, 0.1)
    logits = x @ weights.numpy().T + bias.numpy()
    shares = np.exp(logits - logits.max(1, keepdims=True))
    off = shares / shares.sum(1, keepdims=True) - np.eye(3)[y]
    assert np.abs(off.T @ x / 45 + 0.1 * weights.numpy()).max() < 1e-6
    assert np.abs(off.mean(0)).max() < 1e-6


def test_classes_that_differ_in_their_mean_are_told_apart() -> None:
    means, labels = drawn(90, 8, 3.0)
    train, valid, test = np.arange(50), np.arange(50, 65), np.arange(65, 90)
    probabilities, penalty = linear.fit_means(means, labels, 3, train, valid)
    assert penalty in linear.PENALTIES
    np.testing.assert_allclose(probabilities.sum(1).numpy(), 1)
    assert (probabilities.argmax(1).numpy()[test] == labels[test]).mean() > 0.9


def test_slides_of_the_test_part_change_nothing() -> None:
    means, labels = drawn(60, 8, 1.0)
    train, valid = np.arange(30), np.arange(30, 45)
    before, _ = linear.fit_means(means, labels, 3, train, valid)
    means[45:], labels[45:] = 1e3, 0
    after, _ = linear.fit_means(means, labels, 3, train, valid)
    assert torch.equal(before[:45], after[:45])
