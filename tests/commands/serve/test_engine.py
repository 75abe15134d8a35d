"""Questions that wait are answered together, each as if it had been asked alone; a bad one harms no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from served_models import write_tiny_bag

from pathplugins.commands.ask import ask
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.sampling import Sampling
from pathplugins.commands.serve.batch import Question
from pathplugins.commands.serve.engine import BusyError, Engine
from pathplugins.core.errors import PathPluginsError

SHORT, LONG = Sampling(max_new_tokens=3), Sampling(max_new_tokens=14)
TEXT = "What does it show?"


def asked(text: str = TEXT) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def model(minded: Path) -> LoadedModel:
    return load_model(minded, device="cpu")


@pytest.fixture
def engine(model: LoadedModel) -> Iterator[Engine]:
    made = Engine(model)
    yield made
    made.close()


class Held:
    """Keeps the engine's thread busy, so that questions wait, until it is left."""

    def __init__(self, engine: Engine) -> None:
        self._go, self._engine = threading.Event(), engine

    def __enter__(self) -> None:
        threading.Thread(target=lambda: self._engine.do(lambda _: self._go.wait(30)), daemon=True).start()
        while not self._engine._thread._threads:
            pass

    def __exit__(self, *_: object) -> None:
        self._go.set()


def results(questions: list[Question]) -> list[str]:
    return [question.answer.result(30).text for question in questions]


def test_answers_of_a_batch_are_those_of_questions_asked_alone(engine: Engine, model: LoadedModel, bags: Path) -> None:
    sizes: list[int] = []
    engine.on_batch = sizes.append
    files = [bags / f"bag_{number}.h5" for number in range(11)]
    how = [(SHORT, LONG)[number % 2] for number in range(11)]
    texts = [TEXT, *(f"{'Why? ' * number}{TEXT}" for number in range(10))]
    heard: dict[Path, list[str]] = {path: [] for path in files[::3]}
    with Held(engine):
        questions = [
            engine.submit(path, asked(text), each, heard[path].append if path in heard else None)
            for path, text, each in zip(files, texts, how, strict=True)
        ]
        assert engine.waiting == 11
    alone = [
        ask(model, text, bag=path, max_new_tokens=each.max_new_tokens)
        for path, text, each in zip(files, texts, how, strict=True)
    ]
    assert results(questions) == alone
    assert len(set(alone)) >= 8
    assert sizes == [8, 3]
    assert {path: "".join(said) for path, said in heard.items()} == {path: alone[files.index(path)] for path in heard}
    assert any(len(said) > 1 for said in heard.values())
    first = questions[0].answer.result()
    assert (first.finish, first.answer_tokens) == ("length", 3)
    opened = engine.open(files[0])
    assert first.prompt_tokens == opened.text_length(questions[0].prompt)


def test_a_short_answer_does_not_wait_for_a_long_one(engine: Engine, bags: Path) -> None:
    order: list[str] = []
    with Held(engine):
        for name, tokens in (("long", 200), ("short", 2)):
            question = engine.submit(bags / "bag_1.h5", asked(), Sampling(max_new_tokens=tokens), lambda _: None)
            question.answer.add_done_callback(lambda _, name=name: order.append(name))
    question.answer.result(30)
    assert order[0] == "short"


def test_drawn_answers_follow_from_their_seed_alone(engine: Engine, model: LoadedModel, bags: Path) -> None:
    path = bags / "bag_2.h5"
    seeds = [3, 4, 3, 5]
    sizes: list[int] = []
    engine.on_batch = sizes.append
    with Held(engine):
        questions = [engine.submit(path, asked(), LONG)]
        questions += [
            engine.submit(path, asked(), Sampling(max_new_tokens=6, temperature=20.0, seed=seed)) for seed in seeds
        ]
        questions += [engine.submit(path, asked(), LONG)]
    plain, *drawn, again = results(questions)
    assert drawn == [ask(model, TEXT, bag=path, max_new_tokens=6, temperature=20.0, seed=seed) for seed in seeds]
    assert len(set(drawn)) == 3
    assert plain == again
    assert sizes == [2, 1, 1, 1, 1]


def test_a_bad_file_and_a_long_conversation_harm_no_other(
    engine: Engine, model: LoadedModel, bags: Path, tmp_path: Path
) -> None:
    write_tiny_bag(tmp_path / "wide.h5", 5, seed=0, width=10)
    with Held(engine):
        good = [engine.submit(bags / f"bag_{number}.h5", asked(), SHORT) for number in range(3)]
        wide = engine.submit(tmp_path / "wide.h5", asked(), SHORT)
        gone = engine.submit(tmp_path / "gone.h5", asked(), SHORT)
        long = engine.submit(bags / "bag_0.h5", asked("What " * 3000), SHORT)
        with pytest.raises(PathPluginsError, match="is no text in UTF-8"):
            engine.submit(bags / "bag_0.h5", asked("What \ud800?"), SHORT)
    alone = [ask(model, TEXT, bag=bags / f"bag_{number}.h5", max_new_tokens=3) for number in range(3)]
    assert results(good) == alone
    for question, kind, said in (
        (wide, PathPluginsError, "wide.h5"),
        (gone, FileNotFoundError, "gone.h5"),
        (long, PathPluginsError, r"are \d+ tokens, the language model reads \d+; leave out turns"),
    ):
        with pytest.raises(kind, match=said):
            question.answer.result(30)


def test_a_failure_of_the_model_is_told_to_all_it_concerns_and_the_engine_lives(
    engine: Engine, bags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine.model.model, "generate", full)
        with Held(engine):
            questions = [engine.submit(bags / "bag_0.h5", asked(), SHORT) for _ in range(3)]
        for question in questions:
            with pytest.raises(RuntimeError, match="out of memory"):
                question.answer.result(30)
    assert engine.ask(bags / "bag_0.h5", asked(), SHORT).text


def test_what_the_model_cannot_take_fails_alone(
    engine: Engine, model: LoadedModel, bags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [ask(model, TEXT, bag=bags / f"bag_{number}.h5", max_new_tokens=14) for number in range(3)]
    plain, (odd,) = model.model.generate, model.processor.tokenizer("\x07", add_special_tokens=False)["input_ids"]

    def picky(**inputs: Any) -> Any:
        if (inputs["input_ids"] == odd).any():
            raise ValueError("cannot be taken")
        return plain(**inputs)

    monkeypatch.setattr(model.model, "generate", picky)
    sizes: list[int] = []
    engine.on_batch = sizes.append
    with Held(engine):
        good = [engine.submit(bags / f"bag_{number}.h5", asked(), LONG) for number in range(3)]
        bad = engine.submit(bags / "bag_0.h5", asked("What\x07?"), LONG)
    with pytest.raises(ValueError, match="cannot be taken"):
        bad.answer.result(30)
    assert results(good) == wanted
    assert sizes == [4, 1, 1, 1, 1]


def test_a_question_that_was_dropped_ends_and_harms_no_other(engine: Engine, bags: Path) -> None:
    heard: list[str] = []
    with Held(engine):
        waits = engine.submit(bags / "bag_0.h5", asked(), LONG)
        waits.dropped = True
        runs = engine.submit(bags / "bag_1.h5", asked(), Sampling(max_new_tokens=2000), heard.append)
        runs.on_text = None
        stays = engine.submit(bags / "bag_2.h5", asked(), LONG)
        stays.answer.add_done_callback(lambda _: setattr(runs, "dropped", True))
    assert stays.answer.result(30).text
    engine.do(lambda _: None)
    assert waits.answer.cancelled()
    with pytest.raises(CancelledError):
        runs.answer.result(30)


def test_no_more_wait_than_may(model: LoadedModel, bags: Path) -> None:
    engine = Engine(model, max_waiting=2)
    with Held(engine):
        questions = [engine.submit(bags / "bag_0.h5", asked(), SHORT) for _ in range(2)]
        with pytest.raises(BusyError, match="2 questions wait already"):
            engine.submit(bags / "bag_0.h5", asked(), SHORT)
    engine.close()
    assert len(set(results(questions))) == 1


def test_the_model_of_beams_answers_with_one(model: LoadedModel, bags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ask(model, TEXT, bag=bags / "bag_3.h5", max_new_tokens=3)
    monkeypatch.setattr(model.model.generation_config, "num_beams", 3)
    engine = Engine(model)
    assert engine.ask(bags / "bag_3.h5", asked(), SHORT).text == wanted
    engine.close()


def test_the_tokens_that_end_an_answer(model: LoadedModel, bags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bags / "bag_4.h5"
    inputs = Engine(model).open(path).inputs("<image>" + TEXT)
    told = model.model.generate(**inputs, max_new_tokens=14, do_sample=False, pad_token_id=0)
    ids = told[0, inputs["input_ids"].shape[1] :].tolist()
    place = next(number for number, token in enumerate(ids) if token not in ids[:number] and number > 1)
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", [ids[place], 1])
    engine = Engine(model)
    monkeypatch.setattr("pathplugins.commands.serve.engine.prompt_of", lambda *_: "<image>" + TEXT)
    answer = engine.ask(path, asked(), LONG)
    engine.close()
    assert (answer.finish, answer.answer_tokens) == ("stop", place + 1)
