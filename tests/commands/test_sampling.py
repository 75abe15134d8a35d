"""How tokens are chosen: nothing by chance unless asked for, then the same draw for the same seed."""

from __future__ import annotations

import argparse

import pytest

from pathplugins.commands.sampling import Sampling, add_sampling_options, sampling_of
from pathplugins.core.errors import PathPluginsError

torch = pytest.importorskip("torch")


def parsed(*words: str) -> Sampling:
    parser = argparse.ArgumentParser()
    add_sampling_options(parser)
    return sampling_of(parser.parse_args(words))


def test_the_defaults_draw_nothing() -> None:
    assert parsed() == Sampling()
    assert Sampling().options() == {"max_new_tokens": 128, "do_sample": False}
    assert Sampling().streams


def test_what_is_asked_for_is_handed_on() -> None:
    sampling = parsed("--temperature", "0.7", "--num-beams", "3", "--seed", "5", "--max-new-tokens", "9")
    assert sampling.options() == {"max_new_tokens": 9, "do_sample": True, "temperature": 0.7, "num_beams": 3}
    assert not sampling.streams
    assert sampling.seed == 5
    assert parsed("--temperature", "1", "--top-p", "0.5").options()["top_p"] == 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-new-tokens", "0"], "--max-new-tokens is 0, expected 1 or more"),
        (["--temperature", "-1"], "--temperature is -1, expected 0"),
        (["--temperature", "nan"], "--temperature is nan"),
        (["--num-beams", "0"], "--num-beams is 0, expected 1 or more"),
        (["--temperature", "1", "--top-p", "0"], "--top-p is 0, expected above 0"),
        (["--top-p", "0.5"], "--top-p 0.5 has no draw to cut without --temperature"),
        (["--seed", "3"], "--seed 3 has nothing to draw without --temperature"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        parsed(*words)


def test_a_draw_repeats_and_leaves_the_random_numbers_of_others_alone() -> None:
    device, drawn = torch.device("cpu"), []
    before = torch.get_rng_state()
    for seed in (None, 0, 1, 1):
        with Sampling(temperature=1.0, seed=seed).seeded(device):
            drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3]
    assert torch.equal(torch.get_rng_state(), before)
    with Sampling().seeded(device):
        assert torch.equal(torch.get_rng_state(), before)
