"""An answer in pieces is the answer, without the blanks around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pathplugins.commands.answering import answer, open_file, word_by_word
from pathplugins.commands.ask import answers
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.prompting import conversation
from pathplugins.commands.sampling import Sampling
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag

transformers = pytest.importorskip("transformers")
np = pytest.importorskip("numpy")
QUESTION = "What does this slide show?"


@pytest.fixture(scope="module")
def model(talker: Path) -> LoadedModel:
    return load_model(talker, device="cpu")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "slide.h5"
    sizes = {"patch_size": 256, "patch_size_level0": 256, "mpp": 0.5, "level0_mpp": 0.5}
    side = BagAttributes(slide_id="slide", encoder="none", level0_width=5000, level0_height=3000, **sizes)
    coords = np.stack([np.arange(17) % 9, np.arange(17)], 1) * 256
    write_bag(path, [np.random.default_rng(1).standard_normal((17, 64))], coords, side)
    return path


@pytest.mark.parametrize("more", [{}, {"num_beams": 2}, {"temperature": 2.0, "seed": 3}], ids=str)
def test_pieces_join_to_the_answer_of_a_batch(model: LoadedModel, bag: Path, more: dict[str, Any]) -> None:
    sampling = Sampling(max_new_tokens=12, **more)
    text, pieces = conversation(model.processor.tokenizer, QUESTION), []
    told = answer(model, open_file(model, bag), text, sampling, on_text=pieces.append)
    assert told == answers(model, [text], [[bag]], sampling)[0]
    assert "".join(pieces) == told
    assert told


def test_a_seed_is_a_draw(model: LoadedModel, bag: Path) -> None:
    text, opened = conversation(model.processor.tokenizer, QUESTION), open_file(model, bag)
    drawn = [answer(model, opened, text, Sampling(temperature=3.0, seed=seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_no_answer_beyond_the_positions_of_the_model(model: LoadedModel, bag: Path) -> None:
    opened = open_file(model, bag)
    for question, tokens in (("What " * 4000, 1), (QUESTION, 4096)):
        text = conversation(model.processor.tokenizer, question)
        with pytest.raises(PathPluginsError, match="tokens, the language model reads 4096; ask for less"):
            answer(model, opened, text, Sampling(max_new_tokens=tokens))


@pytest.mark.parametrize("said", ["one two three", "  one\n\n two  \n", "\n", "", " one\n"])
def test_blanks_around_an_answer_are_never_shown(said: str) -> None:
    class Words:
        """A tokenizer of one token a character."""

        def decode(self, ids: list[int], **_: Any) -> str:
            return "".join(map(chr, ids))

    torch, pieces = pytest.importorskip("torch"), []
    streamer = word_by_word(Words(), pieces.append)
    streamer.put(torch.tensor([[1, 2]]))  # the prompt
    for letter in said:
        streamer.put(torch.tensor([ord(letter)]))
    streamer.end()
    assert "".join(pieces) == said.strip()
