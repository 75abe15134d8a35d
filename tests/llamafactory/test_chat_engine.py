"""``ChatModel`` in Python: our models answer about bags and images, and never without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def chat(bag_model: Path) -> Any:
    from llamafactory.chat import ChatModel

    keys = {"model_name_or_path": str(bag_model), "template": "custom_vqa_llama3", "max_new_tokens": 4}
    return ChatModel({**keys, "do_sample": False})


def test_a_bag_is_answered_and_text_alone_is_not(chat: Any, toy: Any, bag_model: Path) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model
    from pathplugins.core.errors import PathPluginsError

    bag = str(toy.data / "bags" / "few1.h5")
    question = [{"role": "user", "content": "Which tissue?"}]
    [answer] = chat.chat(question, images=[bag])
    assert answer.response_text.strip() == ask(
        load_model(bag_model, device="cpu"), "Which tissue?", bag=bag, max_new_tokens=4
    )
    assert question == [{"role": "user", "content": "Which tissue?"}]
    for images in (None, []):
        with pytest.raises(PathPluginsError, match="reads bags and was given none: it would answer from its language"):
            chat.chat(question, images=images)
        with pytest.raises(PathPluginsError, match="given none"):
            list(chat.stream_chat(question, images=images))


def test_files_that_the_model_cannot_read(chat: Any, toy: Any, tmp_path: Path) -> None:
    from PIL import Image

    from pathplugins.core.errors import PathPluginsError

    Image.new("RGB", (31, 22)).save(tmp_path / "patch.png")
    (tmp_path / "case.svs").write_bytes(b"II*\0")
    narrow = toy.bag("narrow_chat", 0, rows=11)
    for image, reason in {
        tmp_path / "patch.png": "is an image; .* reads feature bags",
        tmp_path / "case.svs": "case.svs: the model does not record which patch encoder .* add --encoder NAME",
        tmp_path / "none.h5": "no such file",
        b"abc": "not pictures",
    }.items():
        with pytest.raises(PathPluginsError, match=reason):
            chat.chat([{"role": "user", "content": "What?"}], images=[image if image == b"abc" else str(image)])
    with pytest.raises(PathPluginsError, match="2 <image> but 1 bags"):
        chat.chat([{"role": "user", "content": "<image> or <image>?"}], images=[str(narrow)])


def test_an_engine_that_does_not_know_the_model_is_refused(bag_model: Path) -> None:
    from llamafactory.chat import ChatModel

    from pathplugins.core.errors import PathPluginsError

    keys = {"model_name_or_path": str(bag_model), "template": "custom_vqa_llama3", "infer_backend": "vllm"}
    with pytest.raises(PathPluginsError, match="infer_backend: vllm does not know this model"):
        ChatModel(keys)
