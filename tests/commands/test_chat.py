"""``pathplugins chat``: many turns about one file, from a pipe and on a terminal; without a file, no answer."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from talking_models import QUESTION, TRIAL, WIDTH

from pathplugins.cli import main
from pathplugins.commands.answering import answer, open_file
from pathplugins.commands.asked_file import AskedFile
from pathplugins.commands.chat_session import ChatSession
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.prompting import conversation
from pathplugins.commands.sampling import Sampling
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag

transformers = pytest.importorskip("transformers")
SHORT = Sampling(max_new_tokens=5)
Told = tuple[int, str, str]


@pytest.fixture(scope="module")
def model(talker: Path) -> LoadedModel:
    return load_model(talker, device="cpu")


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bags")
    sizes = {"patch_size": 256, "patch_size_level0": 256, "mpp": 0.5, "level0_mpp": 0.5}
    for name, rows in (("one", 17), ("with blank", 6)):
        side = BagAttributes(slide_id=name, encoder="none", level0_width=5000, level0_height=6000, **sizes)
        coords = np.stack([np.arange(rows) % 9, np.arange(rows)], 1) * 256
        write_bag(folder / f"{name}.h5", [np.random.default_rng(rows).standard_normal((rows, WIDTH))], coords, side)
    return folder / "one.h5", folder / "with blank.h5"


@pytest.fixture
def chat(
    talker: Path, model: LoadedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Told]:
    """Talk from a pipe; returns the exit code, the answers and what else was said."""
    from pathplugins.commands import chat as command

    monkeypatch.setattr(command, "load_model", lambda *_, **__: model)

    def talk(lines: str, *words: object) -> Told:
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        more = ["--max-new-tokens", "5", *TRIAL]
        code = main(["chat", str(talker), *map(str, words), *more])
        return code, *capsys.readouterr()

    return talk


def told(model: LoadedModel, path: Path, *questions: str) -> list[str]:
    """The answers of one conversation about one file, each prompt made whole from the turns before."""
    turns: list[tuple[str, str]] = []
    for question in questions:
        text = conversation(model.processor.tokenizer, question, before=turns)
        turns.append((question, answer(model, open_file(model, path), text, SHORT)))
    return [said for _, said in turns]


def test_a_conversation_from_a_pipe(chat: Callable[..., Told], model: LoadedModel, bags: tuple[Path, Path]) -> None:
    one, blank = bags
    lines = f"{QUESTION}\nWhy?\n\n/new\n{QUESTION}\n/bag '{blank}'\nWhy?\n/quit\nnever asked\n"
    code, out, err = chat(lines, "--bag", one)
    first = told(model, one, QUESTION, "Why?")
    assert out.splitlines() == [*first, first[0], *told(model, blank, "Why?")]
    assert err.splitlines() == ["the conversation begins anew", f"{blank} is open; the conversation begins anew"]
    assert code == 0


def test_why_draws_where_the_model_looked_for_its_last_answer(
    chat: Callable[..., Told], bags: tuple[Path, Path], tmp_path: Path
) -> None:
    one, blank = bags
    out = tmp_path / "pictures"
    lines = f"/why\n{QUESTION}\nWhy?\n/why\n/why\n/why neverSaid\n/bag {blank}\n/why\n{QUESTION}\n/why\n"
    code, answers, err = chat(lines, "--bag", one, "--why", out)
    assert code == 1
    assert len(answers.splitlines()) == 3
    names = ["one_1.png", "one_2.png", "with blank_1.png"]
    said = err.splitlines()
    nothing = "error: nothing was answered yet; ask a question first, then type /why"
    pictures = [
        f"for the answer: {out / name}, and for QuPath {(out / name).with_suffix('.geojson')}" for name in names
    ]
    assert said[:3] == [nothing, *pictures[:2]]
    assert said[3].startswith("error: unknown word of the answer 'neverSaid'")
    assert said[5:] == [nothing, pictures[2]]
    assert sorted(each.name for each in out.glob("*.png")) == names


def test_why_is_of_the_whole_conversation(model: LoadedModel, bags: tuple[Path, Path]) -> None:
    """The second answer is read behind the first turn, as it was given."""
    from pathplugins.commands.explaining import explain

    session = ChatSession(model, SHORT)
    session.open(AskedFile(bags[0], bags[0], None))
    first = session.ask(QUESTION, lambda _: None)
    second = session.ask("Why?", lambda _: None)
    text = conversation(model.processor.tokenizer, "Why?", before=[(QUESTION, first)])
    wanted = explain(model, open_file(model, bags[0]), text, second)
    found = session.explained()._explanation
    assert found.words == wanted.words
    np.testing.assert_allclose(found.weights, wanted.weights, atol=1e-6)
    assert session.explained() is session.explained()
    session.ask(QUESTION, lambda _: None)
    assert session.explained()._explanation is not found


def test_nothing_is_answered_before_a_file_is_open(
    chat: Callable[..., Told], talker: Path, bags: tuple[Path, Path]
) -> None:
    code, out, err = chat(f"{QUESTION}\n/image\n/bag {bags[0]}x\n/nev\n/new now\n")
    assert (code, out) == (1, "")
    said = err.splitlines()
    assert said[0] == (
        f"error: no file is open: {talker} reads bags and would answer from its language model alone; "
        "type /slide FILE or /bag FILE"
    )
    assert said[1] == "error: /image needs a file: /image FILE"
    assert f"{bags[0]}x: no such file; give a bag made with 'pathdata features'; did you mean {bags[0]}" in said[2]
    assert "unknown command '/nev'. Did you mean '/new'" in said[3]
    assert said[4] == "error: /new stands alone, got 'now' behind it"


def test_why_needs_a_folder(chat: Callable[..., Told], bags: tuple[Path, Path]) -> None:
    code, said, wrong = chat("What?\n/why\n", "--bag", bags[0], "--why", bags[1])
    assert (code, said) == (2, "")
    assert f"--why {bags[1]} is a file; name a folder" in wrong


def test_a_refused_file_leaves_the_open_one_open(chat: Callable[..., Told], bags: tuple[Path, Path]) -> None:
    code, out, err = chat(f"/slide {bags[1]}\n{QUESTION}\n/help\n", "--bag", bags[0])
    assert code == 1
    assert out.strip()
    assert f"--slide {bags[1]} is a feature bag; give it with --bag" in err
    assert "/slide FILE  open a slide" in err


def test_a_slide_is_opened_in_the_chat(
    chat: Callable[..., Told],
    model: LoadedModel,
    slide: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("timm")
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    code, out, err = chat(f"/slide {slide}\n{QUESTION}\n")
    (bag,) = (tmp_path / "cache").rglob("bags/case_1.h5")
    assert (code, out.splitlines()) == (0, told(model, bag, QUESTION))
    assert f"its patches are drawn in {bag.parent.parent / 'overlays' / 'case_1.png'}" in err


def test_the_file_is_encoded_once(model: LoadedModel, bags: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    plain: Any = model.model.select_image_tokens
    monkeypatch.setattr(
        model.model, "select_image_tokens", lambda *args, **vision: (runs.append(1), plain(*args, **vision))[1]
    )
    session = ChatSession(model, SHORT)
    session.open(AskedFile(bags[0], bags[0], None))
    for question in (QUESTION, "Why?", "How?"):
        session.ask(question, lambda _: None)
    assert len(runs) == 1
    assert [question for question, _ in session.turns] == [QUESTION, "Why?", "How?"]


def test_an_answer_that_is_stopped_counts_as_far_as_it_was_said(model: LoadedModel, bags: tuple[Path, Path]) -> None:
    session, heard = ChatSession(model, Sampling(max_new_tokens=60)), []
    session.open(AskedFile(bags[0], bags[0], None))

    def stop(piece: str) -> None:
        heard.append(piece)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.ask(QUESTION, stop)
    assert session.turns == [(QUESTION, heard[0])]
    session.begin_anew()
    assert session.ask(QUESTION, lambda _: None).startswith(heard[0])


def test_a_conversation_longer_than_the_model_reads_is_refused(
    model: LoadedModel, bags: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ChatSession(model, SHORT)
    session.open(AskedFile(bags[0], bags[0], None))
    monkeypatch.setattr(model.model.config.text_config, "max_position_embeddings", 12)
    with pytest.raises(PathPluginsError, match=r"the language model reads 12; type /new"):
        session.ask(QUESTION, lambda _: None)
    assert session.turns == []


def test_a_terminal(talker: Path, bags: tuple[Path, Path]) -> None:
    """Ctrl-C stops an answer, not the chat, and at the prompt it says how to leave."""
    outer, inner = pty.openpty()
    words = [sys.executable, "-m", "pathplugins.cli", "chat", str(talker), "--bag", str(bags[0])]
    process = subprocess.Popen(
        [*words, "--max-new-tokens", "3000", "--device", "cpu"],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    seen = b""

    def until(text: str, seconds: float = 240) -> None:
        nonlocal seen
        end = time.monotonic() + seconds
        while text.encode() not in seen:
            assert time.monotonic() < end, seen.decode(errors="replace")
            if select.select([outer], [], [], 1)[0]:
                seen += os.read(outer, 65536)
        seen = seen.partition(text.encode())[2]

    def interrupted(text: str) -> None:
        for _ in range(8):
            process.send_signal(signal.SIGINT)
            with suppress(AssertionError):
                until(text, 10)
                return
        pytest.fail(f"Ctrl-C was not answered by {text!r}")

    try:
        until("/help says what may be typed.")
        until("> ")
        os.write(outer, b"What does this slide show?\n")
        until("\n")
        time.sleep(1)
        interrupted("stopped")  # what the first answer imports may take the first one for an error of its own
        until("> ")
        interrupted("type /quit, or Ctrl-D, to leave")  # one before Python waits for a key is looked at after the next
        until("> ")
        os.write(outer, b"/quit\n")
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(outer)
