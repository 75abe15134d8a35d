"""Files named in a chat: what the model gets to see, and the real ``llamafactory-cli chat``."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.host


def turns(*texts: str) -> list[dict[str, str]]:
    """A conversation that begins with the user."""
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]


def test_files_begin_a_conversation_and_notes_are_no_part_of_it() -> None:
    from pathplugins.llamafactory.chat_files import OPENED, REFUSED, conversation

    asked = conversation(turns("/bag a.h5 What?", "This.", "Sure?"))
    assert asked.files == ["a.h5"]
    assert [turn["content"] for turn in asked.messages] == ["<image>\nWhat?", "This.", "Sure?"]
    asked = conversation(turns("/bag a.h5", f"{OPENED}a.h5", "Hm?", f"{REFUSED}no", "What?"))
    assert (asked.files, [turn["content"] for turn in asked.messages]) == (["a.h5"], ["<image>\nWhat?"])
    asked = conversation(turns("/bag a.h5 What?", "This.", '/bag "b c.h5" And this?', "That.", "Why?"))
    assert (asked.files, len(asked.messages)) == (["b c.h5"], 3)
    asked = conversation(turns("/image a.png\n/image 'b.png'\nWhich?"))
    assert (asked.files, asked.messages[0]["content"]) == (["a.png", "b.png"], "<image><image>\nWhich?")
    asked = conversation(turns("/bag wrong.h5 What?", f"{REFUSED}no such file", "What?"))
    assert (asked.files, len(asked.messages), asked.question) == ([], 1, "What?")
    assert conversation(turns("What of a/bag b?")).files == []
    assert conversation(turns("/bag a.h5")).question == ""


def test_a_line_without_a_file_is_refused() -> None:
    from pathplugins.core.errors import PathPluginsError
    from pathplugins.llamafactory.chat_files import conversation

    with pytest.raises(PathPluginsError, match="/bag names no file; write /bag FILE"):
        conversation(turns("/bag"))
    assert conversation(turns("/baggage?")).files == []


def test_a_chat_in_a_terminal(
    prepared: Any, environment: dict[str, str], toy: Any, bag_model: Path, configs: Path, tmp_path: Path
) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    bag = tmp_path / "my slide.h5"
    bag.write_bytes((toy.data / "bags" / "few0.h5").read_bytes())
    lines = ["Which tissue?", f"/bag {tmp_path}/no.h5 Which tissue?", f'/bag "{bag}"', "Which tissue?", "And else?"]
    lines += ["clear", "Which tissue?", "exit"]
    words = ("chat", str(configs / "wsi_llava_infer.yaml"), f"model_name_or_path={bag_model}", "max_new_tokens=4")
    program = Path(prepared.python).parent / "llamafactory-cli"
    run = subprocess.run(
        [str(program), *words],
        input="\n".join(lines) + "\n",
        env={**environment, **prepared.variables(environment)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    said = [part.split("\n\n")[0].split("\nUser: ")[0].strip() for part in run.stdout.split("Assistant: ")[1:]]
    assert len(said) == 6
    for number in (0, 5):
        assert said[number].startswith("[pathplugins] not answered: ")
        assert "reads bags and was given none" in said[number]
        assert "`/bag FILE`" in said[number]
    assert "no.h5: no such file" in said[1]
    assert said[2] == f"[pathplugins] looking at {bag}; ask about it"
    assert said[3] == ask(load_model(bag_model, device="cpu"), "Which tissue?", bag=bag, max_new_tokens=4)
    assert not said[4].startswith("[pathplugins]")


def test_a_browser_reads_what_the_server_may(toy: Any, bag_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llamafactory.chat import ChatModel
    from llamafactory.webui.chatter import WebChatModel
    from PIL import Image

    monkeypatch.setenv("SAFE_MEDIA_PATH", str(toy.data / "bags"))
    chat = WebChatModel(SimpleNamespace(), lazy_init=True)
    ChatModel.__init__(
        chat,
        {
            "model_name_or_path": str(bag_model),
            "template": "custom_vqa_llama3",
            "max_new_tokens": 4,
            "do_sample": False,
        },
    )

    def say(*texts: str, image: Any = None) -> str:
        stream = chat.stream([], turns(*texts), "en", "", "", image, None, None, 4, 0.7, 0.95, True, False, False)
        return list(stream)[-1][1][-1]["content"]

    assert "given none" in say("Which tissue?")
    assert "does not lie below SAFE_MEDIA_PATH" in say("/bag /etc/passwd Which?")
    answer = say("/bag few0.h5 Which tissue?")
    assert answer
    assert not answer.startswith("[pathplugins]")
    assert "not pictures" in say("Which tissue?", image=Image.new("RGB", (30, 20)))
    assert "an image in the box beside few0.h5" in say("/bag few0.h5 What?", image=Image.new("RGB", (30, 20)))
