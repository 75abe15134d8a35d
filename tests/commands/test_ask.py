"""``pathplugins ask``: the answer of greedy generation about one file, and nothing without a file (feature W45)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pathplugins.cli import main
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data.prompts import SYSTEM_PROMPT

transformers = pytest.importorskip("transformers")

LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{% endif %}"
)
QUESTION = "What does this slide show?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.spec import ComposeSpec
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    root = tmp_path_factory.mktemp("ask")
    llm = build_tiny_llm(root / "llm", [QUESTION, SYSTEM_PROMPT], tied=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = LLAMA
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": 9, "embed_dim": 24, "depth": 1, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
    spec = ComposeSpec(llm=str(llm), vision_config=tower, random_vision_seed=0, image_seq_length=5, patches_per_wsi=11)
    return compose(spec, root / "vlm")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "slide.h5"
    side = BagAttributes(
        slide_id="slide",
        encoder="none",
        patch_size=256,
        patch_size_level0=256,
        mpp=0.5,
        level0_mpp=0.5,
        level0_width=5000,
        level0_height=3000,
    )
    coords = np.stack([np.arange(17) % 9, np.arange(17)], 1) * 256
    write_bag(path, [np.random.default_rng(1).standard_normal((17, 9))], coords, side)
    return path


def test_the_command_prints_what_the_function_answers(
    model: Path, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    words = ["ask", str(model), "--bag", str(bag), "--question", QUESTION, "--max-new-tokens", "6", "--device", "cpu"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert told.strip() == ask(load_model(model, device="cpu"), QUESTION, bag=bag, max_new_tokens=6)
    assert told.strip()


def test_an_adapter_changes_the_answer(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peft = pytest.importorskip("peft")
    from pathplugins.commands.loading import load_model

    base = load_model(model, device="cpu").model
    config = peft.LoraConfig(
        r=4, lora_alpha=64, target_modules=["q_proj", "v_proj", "up_proj"], init_lora_weights=False
    )
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    words = ["ask", str(model), "--bag", str(bag), "--question", QUESTION, "--max-new-tokens", "6", "--device", "cpu"]
    answers = []
    for more in ([], ["--adapter", str(tmp_path)]):
        assert main([*words, *more]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] != answers[1]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads images, and an image beside it."""
    from PIL import Image

    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.spec import ComposeSpec
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    root = tmp_path_factory.mktemp("images")
    llm = build_tiny_llm(root / "llm", [QUESTION], tied=False)
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    spec = ComposeSpec(
        llm=str(llm),
        vision_model_name="clip",
        vision_config={**sizes, "image_size": 20, "patch_size": 4},
        random_vision_seed=0,
        mm_projector_type="mlp2x_gelu",
        image_aspect_ratio="pad",
    )
    Image.new("RGB", (61, 39), "pink").save(root / "patch.png")
    return compose(spec, root / "vlm")


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What the command says, in one line, with exit code 2."""
    assert main(["ask", *map(str, words), "--device", "cpu"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1, told.err
    return told.err


def test_nothing_is_answered_without_a_file(model: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give = "--slide FILE, or --bag FILE.h5"
    for directory, reads, option in ((model, "bags", give), (images, "images", "--image FILE")):
        said = refused(capsys, directory, "--question", QUESTION)
        assert f"{directory} reads {reads} and was given none: it would answer from its language model alone" in said
        assert said.endswith(f"add {option}\n"), said


def test_the_function_refuses_what_the_command_refuses(model: Path, bag: Path) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    loaded = load_model(model, device="cpu")
    with pytest.raises(PathPluginsError, match="reads bags and was given none"):
        ask(loaded, QUESTION)
    with pytest.raises(PathPluginsError, match="one question is about one file"):
        ask(loaded, QUESTION, bag=bag, image=bag)
    with pytest.raises(PathPluginsError, match="--max-new-tokens is 0"):
        ask(loaded, QUESTION, bag=bag, max_new_tokens=0)
    with pytest.raises(PathPluginsError, match="the question is empty"):
        ask(loaded, " ", bag=bag)


def test_a_file_of_another_kind_is_called_what_it_is(
    model: Path, images: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, slide = images.parent / "patch.png", tmp_path / "case.svs"
    slide.write_bytes(b"II*\0 and so on")
    for directory, option, file, words in (
        (model, "--bag", slide, f"is a slide; {model} reads feature bags (H5). Make one with `pathdata run {slide} "),
        (model, "--bag", picture, f"is an image; {model} reads feature bags of slides"),
        (model, "--image", picture, f"is an image; {model} reads feature bags of slides"),
        (images, "--image", bag, f"is a feature bag; {images} reads images"),
        (images, "--bag", bag, f"is a feature bag; {images} reads images"),
        (images, "--image", slide, f"is a slide; {images} reads images"),
    ):
        assert f"{option} {file} {words}" in refused(capsys, directory, option, file, "--question", QUESTION)
    said = refused(capsys, images, "--bag", picture, "--question", QUESTION)
    assert f"--bag {picture}: {images} reads images, not bags; give it with --image {picture}" in said


def test_paths_and_numbers(model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slide_7.h5").touch()
    said = refused(capsys, model, "--bag", tmp_path / "slide-7.h5", "--question", QUESTION)
    assert f"slide-7.h5: no such file; give a bag made with 'pathdata features'; did you mean {tmp_path}" in said
    assert "--max-new-tokens is 0" in refused(capsys, model, "--bag", bag, "--question", "?", "--max-new-tokens", 0)
    with pytest.raises(SystemExit, match="2"):
        main(["ask", str(model), "--bag", str(bag), "--image", str(bag), "--question", "?"])
    assert "not allowed with argument --bag" in capsys.readouterr().err


def test_a_processor_of_another_model_is_refused(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    from pathplugins.core.files import read_json, write_json

    mixed = tmp_path / "mixed"
    shutil.copytree(model, mixed, symlinks=True)
    settings = read_json(mixed / "preprocessor_config.json")
    (mixed / "preprocessor_config.json").unlink()
    write_json(mixed / "preprocessor_config.json", {**settings, "image_seq_length": 8})
    said = refused(capsys, mixed, "--bag", bag, "--question", QUESTION)
    assert "image_seq_length is 5 in config.json and 8 in preprocessor_config.json, which must be the same" in said


def test_features_of_another_encoder_need_an_option(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    import h5py

    from pathplugins.core.files import read_json, write_json

    strict, other = tmp_path / "strict", tmp_path / "other.h5"
    shutil.copytree(model, strict, symlinks=True)
    settings = read_json(strict / "preprocessor_config.json")
    write_json(strict / "preprocessor_config.json", {**settings, "expects_encoder": "gigapath"})
    shutil.copy(bag, other)
    with h5py.File(other, "a") as file:
        file.attrs["encoder"] = "uni2-h"
    words = (strict, "--bag", other, "--question", QUESTION, "--max-new-tokens", "3")
    said = refused(capsys, *words)
    assert "other.h5: features are of the encoder 'uni2-h', but the vision tower was trained on those of 'giga" in said
    assert "--allow-other-encoder" in said
    assert main(["ask", *map(str, words), "--allow-other-encoder", "--device", "cpu"]) == 0


def test_a_slide_is_made_into_the_bag_that_is_asked_about(
    talker: Path, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("timm")
    from talking_models import TRIAL

    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model
    from pathplugins.encoders.slide_options import SlideOptions

    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    asked = ["What is it?", QUESTION, "What is it?"]
    words = [word for question in asked for word in ("--question", question)]
    words += ["--max-new-tokens", "6"]
    assert main(["ask", str(talker), "--slide", str(slide), *words, *TRIAL, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["question"] for line in lines] == asked
    (bag,) = (tmp_path / "cache").rglob("bags/case_1.h5")
    picture = bag.parent.parent / "overlays" / "case_1.png"
    assert picture.is_file()
    for line in lines:
        assert list(line) == ["question", "answer", "file", "model", "seconds", "patches"]
        assert (line["file"], line["model"], line["patches"]) == (str(slide), str(talker), str(picture))
        assert line["seconds"] > 0
    model = load_model(talker, device="cpu")
    options = SlideOptions(encoder="test_vit", random_weights=0)
    right = [ask(model, question, bag=bag, max_new_tokens=6) for question in asked]
    assert [line["answer"] for line in lines] == right
    assert ask(model, QUESTION, slide=slide, slide_options=options, max_new_tokens=6) == right[1]
    capsys.readouterr()
    assert main(["ask", str(talker), "--bag", str(bag), *words, "--device", "cpu"]) == 0
    told = "".join(f"> {question}\n{answer}\n" for question, answer in zip(asked, right, strict=True))
    assert capsys.readouterr().out == told
    assert "patches" not in told


def test_a_slide_for_another_model_and_what_is_no_slide(
    model: Path, images: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, picture = tmp_path / "case.svs", images.parent / "patch.png"
    slide.write_bytes(b"II*\0 and so on")
    said = refused(capsys, images, "--slide", slide, "--question", QUESTION)
    assert f"--slide {slide} is a slide; {images} reads images. Cut patches with `pathdata patch {slide} --out" in said
    said = refused(capsys, images, "--slide", picture, "--question", QUESTION)
    assert f"--slide {picture} is an image, which {images} reads; give it with --image {picture}" in said
    said = refused(capsys, model, "--slide", bag, "--question", QUESTION)
    assert f"--slide {bag} is a feature bag; give it with --bag {bag}" in said
    said = refused(capsys, model, "--slide", tmp_path / "cas.svs", "--question", QUESTION)
    assert f"cas.svs: no such file; give a slide (`pathdata formats`); did you mean {slide}" in said


def test_a_system_prompt_changes_the_prompt(model: Path, bag: Path) -> None:
    from pathplugins.commands.ask import answers, ask
    from pathplugins.commands.loading import load_model
    from pathplugins.commands.prompting import conversation
    from pathplugins.commands.sampling import Sampling

    loaded = load_model(model, device="cpu")
    text = conversation(loaded.processor.tokenizer, QUESTION, system="What?")
    assert "system<|end_header_id|>What?<|eot_id|>" in text
    assert SYSTEM_PROMPT not in text
    right = answers(loaded, [text], [[bag]], Sampling(max_new_tokens=6))[0]
    assert ask(loaded, QUESTION, bag=bag, max_new_tokens=6, system="What?") == right


def test_options_that_cannot_be_obeyed_are_refused_before_the_model_is_loaded(
    model: Path, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (model, "--bag", bag, "--question", QUESTION)
    assert "--seed 3 has nothing to draw" in refused(capsys, *words, "--seed", 3)
    assert "--temperature is -1" in refused(capsys, *words, "--temperature=-1")
    assert "the question is empty" in refused(capsys, *words, "--question", " ")
    said = refused(capsys, *words, "--random-weights", 0, "--mpp", 1)
    assert "--random-weights, --mpp: a slide becomes a bag by it, and --bag names none; leave it out" in said


def test_several_bags_of_a_case_are_one_question(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.commands.ask import answers, ask
    from pathplugins.commands.loading import load_model
    from pathplugins.commands.prompting import conversation
    from pathplugins.commands.sampling import Sampling

    other = tmp_path / "other.h5"
    sizes = {"patch_size": 256, "patch_size_level0": 256, "mpp": 0.5, "level0_mpp": 0.5}
    side = BagAttributes(slide_id="other", encoder="none", level0_width=5000, level0_height=3000, **sizes)
    coords = np.stack([np.arange(4), np.arange(4)], 1) * 256
    write_bag(other, [np.random.default_rng(2).standard_normal((4, 9))], coords, side)
    words = ["ask", str(model), "--question", QUESTION, "--max-new-tokens", "6", "--device", "cpu", "--json"]
    assert main([*words, "--bag", str(bag), "--bag", str(other)]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["files"] == [str(bag), str(other)]
    loaded = load_model(model, device="cpu")
    told = ask(loaded, QUESTION, bag=[bag, other], max_new_tokens=6)
    prompt = conversation(loaded.processor.tokenizer, QUESTION, images=2)
    assert prompt.count("<image><image>\n") == 1
    [batched] = answers(loaded, [prompt], [[bag, other]], Sampling(max_new_tokens=6))
    assert line["answer"] == told == batched
    with pytest.raises(PathPluginsError, match=r"gone\.h5: no such file"):
        ask(loaded, QUESTION, bag=[bag, tmp_path / "gone.h5"])
    with pytest.raises(PathPluginsError, match=r"one question is about one file, got a bag .* and an image"):
        ask(loaded, QUESTION, bag=[bag], image=other)
