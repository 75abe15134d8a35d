"""Ranking: each way of choosing, against numbers worked out by hand, and the choice they share."""

import math

import numpy as np
import pytest

pytest.importorskip("sklearn")

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.select.ranking import (
    ChoiceSpec,
    choose,
    cluster,
    cluster_count,
    cluster_quality,
    direct_scores,
    ranked,
    report_scores,
    spread_order,
)


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def features() -> np.ndarray:
    return unit(np.random.default_rng(3).standard_normal((90, 12)))


@pytest.mark.parametrize("prompts", [1, 2, 20, 33])
def test_direct_score_is_the_largest_of_any_number_of_prompts(features: np.ndarray, prompts: int) -> None:
    texts = unit(np.random.default_rng(4).standard_normal((prompts, 12)))
    texts[-1] = features[17]  # planted: the last prompt, which the published code cuts off after 20
    scores, best = direct_scores(features, texts)
    for row in (0, 17, 89):
        cosines = [100 * float(features[row] @ text) for text in texts]
        assert scores[row] == pytest.approx(max(cosines), abs=1e-3)
        assert best[row] == int(np.argmax(cosines))
    assert ranked(scores)[0] == 17
    assert scores[17] == pytest.approx(100, abs=1e-3)


def test_report_score_is_the_sum(features: np.ndarray) -> None:
    texts = unit(np.random.default_rng(4).standard_normal((3, 12)))
    by_hand = [sum(100 * float(f @ t) for t in texts) for f in features]
    np.testing.assert_allclose(report_scores(features, texts), by_hand, atol=1e-3)


def test_equal_scores_stay_in_order() -> None:
    assert ranked(np.array([1.0, 5.0, 1.0, 5.0])).tolist() == [1, 3, 0, 2]


def test_number_of_clusters() -> None:
    assert cluster_count(1000, "auto") == math.ceil(math.sqrt(1600)) == 40
    assert cluster_count(1000, "published") == math.ceil(math.sqrt(8 * 1.6))  # 7 full batches of 128 and a rest
    assert cluster_count(1000, 7) == 7
    assert [cluster_count(n, "auto") for n in (1, 2, 3)] == [1, 2, 3]
    assert cluster_count(5, 9) == 5


def test_clusters_find_what_was_planted_and_are_the_same_again() -> None:
    generator = np.random.default_rng(0)
    centres = np.eye(5, 16)
    truth = generator.integers(0, 5, 200)
    points = unit(centres[truth] + 0.05 * generator.standard_normal((200, 16)))
    labels = cluster(points, 5, seed=1)
    assert labels.tolist() == cluster(points, 5, seed=1).tolist()
    for label in range(5):
        assert len({*truth[labels == label]}) == 1
    quality = cluster_quality(points, labels, seed=1)
    assert quality["silhouette"] > 0.7
    assert quality["silhouette_patches"] == 200
    assert quality["davies_bouldin"] < 0.5
    assert quality["calinski_harabasz"] > 100


def test_patches_that_are_all_alike_are_one_cluster() -> None:
    same = unit(np.ones((6, 4)))
    labels = cluster(same, 3, seed=0)
    assert labels.tolist() == [0] * 6
    none = {"silhouette": None, "silhouette_patches": 6, "davies_bouldin": None, "calinski_harabasz": None}
    assert cluster_quality(same, labels, 0) == none
    assert cluster(same[:1], 1, seed=0).tolist() == [0]


def test_silhouette_is_sampled() -> None:
    points = unit(np.random.default_rng(0).standard_normal((2300, 3)))
    labels = (points[:, 0] > 0).astype(np.int64)
    first, again = (cluster_quality(points, labels, seed=5) for _ in range(2))
    assert first == again
    assert first["silhouette_patches"] == 2000


def test_shares_add_up() -> None:
    assert ChoiceSpec().counts(report=True) == (64, 64, 128)
    assert ChoiceSpec().counts(report=False) == (85, 0, 171)
    assert ChoiceSpec(shares=(1, 0, 0)).counts(report=True) == (256, 0, 0)
    assert ChoiceSpec(shares=(0, 1, 0), target=7).counts(report=True) == (0, 7, 0)
    assert ChoiceSpec(shares=(0, 1, 0), target=7).counts(report=False) == (0, 0, 7)
    for target in range(1, 40):
        assert sum(ChoiceSpec(shares=(1, 1, 0), target=target).counts(report=True)) == target
        assert sum(ChoiceSpec(shares=(1, 1, 1), target=target).counts(report=True)) == target


def test_choice_is_the_top_of_each_ranking_then_the_spread(features: np.ndarray) -> None:
    direct, report = np.arange(90.0), -np.arange(90.0)
    labels = np.arange(90) % 9
    spec = ChoiceSpec(target=40, max_similarity=1)
    picks, left_out = choose(features, direct, report, labels, spec)
    assert left_out == 0
    assert [pick.index for pick in picks if pick.reason == "direct"] == list(range(89, 79, -1))
    assert [pick.index for pick in picks if pick.reason == "report"] == list(range(10))
    spread = [pick.index for pick in picks if pick.reason == "spread"]
    assert len(spread) == 20
    assert len({pick.index for pick in picks}) == 40
    of_cluster = np.bincount(labels[spread], minlength=9)
    assert of_cluster.min() >= 2  # int(20 / 9) of each, and what is left one by one
    assert of_cluster.max() <= 3


def test_small_clusters_give_all_and_large_ones_the_rest(features: np.ndarray) -> None:
    labels = np.array([0] * 80 + [1] * 7 + [2] * 3)
    spec = ChoiceSpec(target=30, shares=(0, 0, 1), max_similarity=1)
    picks, _ = choose(features, np.zeros(90), None, labels, spec)
    counts = np.bincount(labels[[pick.index for pick in picks]])
    assert counts.tolist() == [20, 7, 3]


def test_more_clusters_than_wanted_stop_at_the_largest(features: np.ndarray) -> None:
    labels = np.array([*range(30), *[30] * 60])
    picks, _ = choose(features, np.zeros(90), None, labels, ChoiceSpec(target=4, shares=(0, 0, 1), max_similarity=1))
    assert len(picks) == 4
    assert labels[picks[0].index] == 30


def test_fewer_patches_than_wanted_are_all_taken(features: np.ndarray) -> None:
    picks, _ = choose(features[:5], np.zeros(5), None, np.array([0, 1, 0, 2, 1]), ChoiceSpec(max_similarity=1))
    assert sorted(pick.index for pick in picks) == [0, 1, 2, 3, 4]
    one, _ = choose(features[:1], np.zeros(1), np.zeros(1), np.array([0]), ChoiceSpec())
    assert [pick.index for pick in one] == [0]


def test_of_near_duplicates_the_better_ranked_stays(features: np.ndarray) -> None:
    twins = np.concatenate([features[:30], unit(features[:30] + 0.002)])  # row n + 30 is nearly row n
    direct = np.concatenate([np.arange(30.0), np.arange(30.0) + 0.5])  # the twin is a little better
    labels = np.zeros(60, np.int64)
    picks, left_out = choose(twins, direct, None, labels, ChoiceSpec(target=60, max_similarity=0.98))
    chosen = [pick.index for pick in picks]
    assert len(chosen) == 30
    assert left_out == 30
    direct_ones = [pick.index for pick in picks if pick.reason == "direct"]
    assert direct_ones == list(range(59, 39, -1))
    assert not {index - 30 for index in direct_ones} & {*chosen}
    similar = twins[chosen] @ twins[chosen].T - np.eye(30)
    assert similar.max() <= 0.98


def test_spread_depends_on_the_seed_alone() -> None:
    labels = np.random.default_rng(1).integers(0, 4, 50)
    first, again, other = (spread_order(labels, seed) for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    assert [len(members) for members in first] == sorted(np.bincount(labels), reverse=True)


@pytest.mark.parametrize(
    "options",
    [
        {"target": 0},
        {"shares": (0, 0, 0)},
        {"shares": (1, 1)},
        {"shares": (1, -1, 1)},
        {"clusters": 0},
        {"max_similarity": 1.1},
        {"max_similarity": 0},
    ],
)
def test_settings_that_make_no_sense(options: dict) -> None:
    with pytest.raises(PathPluginsError):
        ChoiceSpec(**options)
