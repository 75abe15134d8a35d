"""A slide that is named in LLaMA-Factory's chat is asked about through the bag that is made of it, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import talking_models
from talking_models import ENCODER

from pathplugins.core.errors import PathPluginsError

pytest.importorskip("openslide")
pytest.importorskip("timm")
pytestmark = pytest.mark.host
talker, slide = talking_models.talker, talking_models.slide  # fixtures
QUESTION = [{"role": "user", "content": "Which tissue?"}]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def chat(talker: Path) -> Any:
    from llamafactory.chat import ChatModel

    keys = {"model_name_or_path": str(talker), "template": "custom_vqa_llama3", "max_new_tokens": 4}
    return ChatModel({**keys, "do_sample": False, "slide_options": {"encoder": ENCODER, "random_weights": 0}})


def test_a_slide_is_answered_as_its_bag_is(
    chat: Any,
    talker: Path,
    slide: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from pathplugins.commands.loading import load_processor
    from pathplugins.commands.slide_bags import made_bag
    from pathplugins.encoders.slide_options import SlideOptions
    from pathplugins.llamafactory import slide_files

    [answer] = chat.chat(QUESTION, images=[str(slide)])
    assert "its patches are drawn in" in capfd.readouterr().err
    reader = load_processor(talker).image_processor
    made = made_bag(slide, reader, SlideOptions(encoder=ENCODER, random_weights=0))
    assert made is not None
    [wanted] = chat.chat(QUESTION, images=[str(made.bag)])
    assert answer.response_text == wanted.response_text
    monkeypatch.setattr(slide_files.subprocess, "Popen", None)
    assert "".join(chat.stream_chat(QUESTION, images=[str(slide)])) == answer.response_text


def test_what_the_command_says_is_told(
    chat: Any,
    slide: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pathplugins.encoders.slide_options import SlideOptions

    monkeypatch.setattr(chat.engine.processor, "slide_options", SlideOptions())
    with pytest.raises(
        PathPluginsError, match=r"case_1\.svs: the model does not record [^$]* entries of a key: slide_options: "
    ):
        chat.chat(QUESTION, images=[str(slide)])
    (tmp_path / "broken.svs").write_bytes(b"II*\0")
    monkeypatch.setattr(chat.engine.processor, "slide_options", SlideOptions(encoder=ENCODER, random_weights=0))
    with pytest.raises(PathPluginsError, match=r"broken\.svs: "):
        chat.chat(QUESTION, images=[str(tmp_path / "broken.svs")])


def test_names_of_options() -> None:
    from pathplugins.llamafactory.slide_files import slide_options

    assert slide_options(None).encoder is None
    assert slide_options({"encoder": "uni", "download": True}).download
    with pytest.raises(PathPluginsError, match="slide_options: unknown option 'encoder_weigths'"):
        slide_options({"encoder_weigths": "w.bin"})
