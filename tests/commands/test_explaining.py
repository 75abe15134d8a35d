"""Explaining: a model that has learnt to read one patch is seen to look at it; words, and what cannot be explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from talking_models import LLAMA, WIDTH

from pathplugins.commands.answering import answer, open_file
from pathplugins.commands.explaining import _words, explain
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.prompting import conversation
from pathplugins.commands.sampling import Sampling
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")
QUESTION, SYSTEM = "Is it benign?", "Look."
ANSWERS = ("yes", "no it is not")
ROWS, SIDE, FEATURES = 9, 512, 10
COORDS_XY = np.stack([np.arange(ROWS) % 4, np.arange(ROWS) // 4], 1) * SIDE + np.array([1024, 512])
STEPS, BATCH, RATE = 80, 8, 3e-3


class Learnt(NamedTuple):
    """A model that was taught to say which of two kinds the one marked patch of a bag is."""

    model: LoadedModel
    prompt: str


def drawn(seed: int, count: int) -> tuple[Any, list[int], list[int]]:
    """Features [count, ROWS, FEATURES], the marked row of each bag and its kind."""
    generator = np.random.default_rng(seed)
    features = 0.3 * generator.standard_normal((count, ROWS, FEATURES)).astype(np.float32)
    features[..., :2] = 0
    marked, kinds = generator.integers(0, ROWS, count), generator.integers(0, 2, count)
    for bag, (row, kind) in enumerate(zip(marked, kinds, strict=True)):
        features[bag, row, :2] = 4, 4 * (2 * kind - 1)
    return features, marked.tolist(), kinds.tolist()


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    return taught(tmp_path_factory.mktemp("learnt"))


def taught(root: Path) -> Learnt:
    llm = build_tiny_llm(root / "llm", [QUESTION, SYSTEM, *ANSWERS, "user assistant system"] * 3, tied=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = LLAMA
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": FEATURES, "embed_dim": 24, "depth": 1, "num_heads": 4}
    tower |= {"segment_lengths": [8], "dilated_ratios": [1]}
    spec = ComposeSpec(
        llm=str(llm),
        vision_config=tower,
        random_vision_seed=0,
        projector_config={"dropout": 0.0},
        vision_feature_select_mode="none",
        image_seq_length=ROWS,
        patches_per_wsi=ROWS,
    )
    loaded = load_model(compose(spec, root / "vlm"), device="cpu", dtype="float32")
    model, processor = loaded.model, loaded.processor
    prompt = conversation(processor.tokenizer, QUESTION, system=SYSTEM)
    end = [processor.tokenizer.convert_tokens_to_ids("<|eot_id|>")]
    asked = processor.text_inputs([prompt], [[ROWS + 1]])["input_ids"][0].tolist()
    told = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] + end for text in ANSWERS]
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    coords = torch.from_numpy(COORDS_XY // 2)
    for step in range(STEPS):
        features, _, kinds = drawn(step, BATCH)
        rows = [asked + told[kind] for kind in kinds]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        seen = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        labels = ids.masked_fill(seen == 0, -100)
        labels[:, : len(asked)] = -100
        vision = {
            "patch_features": torch.from_numpy(features).flatten(0, 1),
            "patch_coords": coords.repeat(BATCH, 1),
            "patch_counts": torch.full((BATCH,), ROWS),
            "patch_seeds": torch.zeros(BATCH, dtype=torch.int64),
        }
        model(input_ids=ids, attention_mask=seen, labels=labels, **vision).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return Learnt(loaded, prompt)


def bag_of(folder: Path, features: np.ndarray) -> Path:
    path = folder / "slide.h5"
    sizes = {"patch_size": 256, "patch_size_level0": SIDE, "mpp": 0.5, "level0_mpp": 0.25}
    side = BagAttributes(slide_id="slide", encoder="none", level0_width=7000, level0_height=5000, **sizes)
    write_bag(path, [features], COORDS_XY[:, ::-1].copy(), side)
    return path


def told(learnt: Learnt, bag: Path) -> str:
    return answer(learnt.model, open_file(learnt.model, bag), learnt.prompt, Sampling(max_new_tokens=8))


def test_a_model_looks_at_the_patch_that_its_answer_depends_on(learnt: Learnt, tmp_path: Path) -> None:
    """Only the marked patch decides the answer: exchanged, the answer changes; another exchanged, it stays."""
    bags, marked, kinds = drawn(1000, 16)
    others, *_ = drawn(1001, 16)
    found = []
    for features, other, row, kind in zip(bags, others, marked, kinds, strict=True):
        bag = bag_of(tmp_path, features)
        said = told(learnt, bag)
        assert said == ANSWERS[kind]
        explanation = explain(learnt.model, open_file(learnt.model, bag), learnt.prompt, said)
        weights = explanation.answer_weights
        assert explanation.words == said.split()
        assert explanation.weights.shape == (len(explanation.words), 1 + ROWS)
        assert explanation.weights.dtype == np.float32
        np.testing.assert_allclose(explanation.weights.sum(1), 1, atol=1e-6)
        assert ((explanation.looked > 0) & (explanation.looked < 1)).all()
        assert explanation.patches == [None, *((x, y, SIDE, SIDE) for x, y in COORDS_XY.tolist())]
        found.append(int(weights[1:].argmax()) == row)
        swapped = features.copy()
        swapped[row, 1] *= -1
        assert told(learnt, bag_of(tmp_path, swapped)) == ANSWERS[1 - kind]
        beside = (row + 4) % ROWS
        swapped = features.copy()
        swapped[beside, 2:] = other[beside, 2:]
        assert told(learnt, bag_of(tmp_path, swapped)) == said
    assert np.mean(found) > 0.8


def test_the_answer_is_read_as_it_was_said(learnt: Learnt, tmp_path: Path) -> None:
    """Word by word a row for each; what is said otherwise is looked into otherwise; the model answers as before."""
    features, *_ = drawn(7, 1)
    model, opened = learnt.model, open_file(learnt.model, bag_of(tmp_path, features[0]))
    before = answer(model, opened, learnt.prompt, Sampling(max_new_tokens=8))
    one, other = (explain(model, opened, learnt.prompt, text) for text in ("yes it is", "  yes it\n\nwas "))
    assert (one.words, other.words) == (["yes", "it", "is"], ["yes", "it", "was"])
    np.testing.assert_allclose(one.weights[:2], other.weights[:2], atol=0.05)
    assert np.array_equal(one.weights, explain(model, opened, learnt.prompt, "yes it is").weights)
    assert answer(model, opened, learnt.prompt, Sampling(max_new_tokens=8)) == before


def test_words_are_made_of_all_their_tokens(talker: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(talker)
    text = "What is\n\n Überfärbung\tdoes 5 µm?"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    words = _words(tokenizer, ids)
    assert [word for word, _ in words] == text.split()
    for word, owned in words:
        assert owned == list(range(owned[0], owned[-1] + 1))
        assert word in tokenizer.decode(ids[max(0, owned[0] - 1) : owned[-1] + 1])
    assert len(words[2][1]) > 3
    end = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    with pytest.raises(PathPluginsError, match="nothing but special tokens"):
        _words(tokenizer, [end, end])


@pytest.mark.parametrize("said", ["", " \n"])
def test_without_an_answer_there_is_nothing_to_explain(learnt: Learnt, tmp_path: Path, said: str) -> None:
    opened = open_file(learnt.model, bag_of(tmp_path, drawn(7, 1)[0][0]))
    with pytest.raises(PathPluginsError, match="the answer is empty"):
        explain(learnt.model, opened, learnt.prompt, said)


def test_a_window_that_ends_behind_the_picture_is_said(talker: Path, tmp_path: Path) -> None:
    root = tmp_path
    llm = build_tiny_llm(root / "llm", ["What?"], model_type="mistral", sliding_window=4, tied=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = LLAMA
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": WIDTH, "embed_dim": 24, "depth": 1, "num_heads": 4}
    tower |= {"segment_lengths": [8], "dilated_ratios": [1]}
    spec = ComposeSpec(llm=str(llm), vision_config=tower, random_vision_seed=0, image_seq_length=5, patches_per_wsi=9)
    model = load_model(compose(spec, root / "vlm"), device="cpu")
    bag = bag_of(tmp_path, np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32))
    prompt = conversation(model.processor.tokenizer, "What?")
    with pytest.raises(PathPluginsError, match="pays no attention to the picture when it says 'nothing'"):
        explain(model, open_file(model, bag), prompt, "nothing")
