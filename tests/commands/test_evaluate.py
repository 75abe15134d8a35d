"""``pathplugins evaluate``: asks as ``ask`` does, checks before, goes on where it was, shares among processes."""

from __future__ import annotations

import csv
import json
import logging
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import serving
from PIL import Image

from pathplugins.cli import main
from pathplugins.core.files import read_json

transformers = pytest.importorskip("transformers")

CHAT = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]"
WORDS = ["what does this slide show benign malignant invasive carcinoma normal tissue yes no gland of the"]
QUESTIONS = ["What is it?", "Is it benign?", "Is this a slide of normal tissue or of the invasive carcinoma?", "Why?"]
SIZES = [(61, 39), (37, 44), (130, 21), (20, 90)]  # (w, h), 6 to 9 tiles of 20 pixels
TOKENS = 7


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield
    logging.getLogger("pathplugins").setLevel(logging.NOTSET)  # which the command has changed


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Untrained: what it says means nothing, but no two images or questions get the same answer."""
    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.spec import ComposeSpec
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    root = tmp_path_factory.mktemp("evaluate")
    llm = build_tiny_llm(root / "llm", WORDS, tied=False, initializer_range=0.3)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(llm)
    tower = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
    spec = ComposeSpec(
        llm=str(llm),
        vision_model_name="plip",
        vision_config={**tower, "image_size": 20, "patch_size": 4},
        random_vision_seed=0,
        mm_projector_type="scale_invariant",
        projector_config={"num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 17},
    )
    return str(compose(spec, root / "vlm"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, (w, h) in enumerate(SIZES):
        pixels = np.random.default_rng(number).integers(0, 256, (h, w, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def told(model: str, images: Path) -> list[str]:
    """What ``ask`` answers, one question at a time."""
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    loaded = load_model(model, device="cpu")
    files = [images / f"{n}.png" for n in range(len(QUESTIONS))]
    texts = [
        ask(loaded, question, image=file, max_new_tokens=TOKENS)
        for file, question in zip(files, QUESTIONS, strict=True)
    ]
    assert len({*texts}) == len(texts)
    return texts


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Path:
    """LLaVA lines: the first answer is right, one of the others half right."""
    right = [told[0], "Yes", f"{told[2]} unheardof", "no"]
    samples: list[dict[str, Any]] = [
        {"id": f"q{n}", "image": f"{n}.png", "question": f"<image>\n{QUESTIONS[n]}", "answer": right[n]}
        for n in range(len(QUESTIONS))
    ]
    path = tmp_path_factory.mktemp("data") / "test.jsonl"
    with path.open("w") as stream:
        for sample in samples:
            turns = [("human", sample.pop("question")), ("gpt", sample.pop("answer"))]
            sample["conversations"] = [{"from": speaker, "value": text} for speaker, text in turns]
            stream.write(f"{json.dumps(sample)}\n")
    return path


@pytest.fixture(scope="module")
def words(model: str, images: Path, data: Path) -> Callable[..., list[str]]:
    """The command line, without ``--out``."""

    def words(*more: object, **changes: object) -> list[str]:
        options = {"data": data, "image-folder": images, "task": "vqa", "device": "cpu", "max-new-tokens": TOKENS}
        given = [
            text
            for name, value in {**options, **changes}.items()
            for text in (f"--{name.replace('_', '-')}", str(value))
        ]
        return ["evaluate", model, *given, *map(str, more)]

    return words


@pytest.fixture(scope="module")
def whole(words: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process from the beginning to the end, three questions at a time."""
    out = tmp_path_factory.mktemp("out") / "whole"
    assert main([*words(batch_size=3), "--out", str(out)]) == 0
    return out


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a34_every_question_is_asked_as_ask_does(whole: Path, data: Path, told: list[str]) -> None:
    written = lines(whole)
    assert [line["prediction"] for line in written] == told
    assert [(line["id"], line["row"]) for line in written] == [("q0", 1), ("q1", 2), ("q2", 3), ("q3", 4)]
    assert written[1].keys() == {"id", "source", "row", "images", "question", "answer", "prediction"}
    assert (written[1]["source"], written[1]["question"], written[1]["answer"]) == (str(data), "Is it benign?", "Yes")
    assert [Path(image).name for image in written[1]["images"]] == ["1.png"]
    assert sorted(path.name for path in whole.iterdir()) == ["metrics.json", "predictions.jsonl", "settings.json"]


def test_a34_metrics(whole: Path) -> None:
    metrics = read_json(whole / "metrics.json")
    assert (metrics["task"], metrics["questions"], metrics["left_out"]) == ("vqa", 4, 0)
    scores = metrics["metrics"]
    assert {name: (scores[name]["value"], scores[name]["n"]) for name in scores if name != "yes_no_unparsed"} == {
        "accuracy": (0.25, 4),
        "yes_no_accuracy": (0.0, 2),
        "other_accuracy": (0.5, 2),
        "other_token_recall": (pytest.approx((1 + scores_of_half(lines(whole)[2]["answer"])) / 2), 2),
    }
    assert scores["yes_no_unparsed"] == 2


def scores_of_half(answer: str) -> float:
    """The model says every word of it but one."""
    from pathplugins.data.scoring.answers import normalise

    count = len({*normalise(answer).split()})
    assert count > 1
    return (count - 1) / count


def test_scores_of_a_publication_stand_beside_ours(
    words: Callable[..., list[str]], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of answers that are there already: the two closed questions, and two open ones of which one lacks a word."""
    from pathplugins.data.scoring.quilt_llava import word_scores, yes_or_no

    out = shutil.copytree(whole, tmp_path / "out")
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text('{"category": "conv", "tuple": [8, 6]}\n{"tuple": [-1, -1]}\n')
    assert main([*words("--as-published", "quilt-llava", "--reviews", reviews), "--out", str(out)]) == 0
    told = read_json(out / "metrics.json")
    assert told["metrics"] == read_json(whole / "metrics.json")["metrics"]
    published = told["as_published"]["metrics"]
    first, yes, half, no = lines(whole)
    exact = [word_scores(line["answer"], line["prediction"]).exact_match for line in (first, half)]
    assert published["exact_match"]["value"] == pytest.approx(sum(exact) / 2)
    closed = [yes_or_no(yes["prediction"]) == "yes", yes_or_no(no["prediction"]) == "no"]
    assert published["yes_no_accuracy"]["value"] == sum(closed) / 2
    assert told["as_published"]["reviews"]["all"]["gpt_relative"]["value"] == 75
    shown = capsys.readouterr().out
    assert "as published by quilt-llava (other formulas than above)" in shown
    assert "reviews of a GPT: conv" in shown


def test_a_killed_run_goes_on(words: Callable[..., list[str]], whole: Path, tmp_path: Path) -> None:
    """What is on disk is kept, half a line is asked again, and settings that do not change answers may differ."""
    first, second, third, *_ = (whole / "predictions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = {**json.loads(second), "prediction": "kept"}
    shutil.copy(whole / "settings.json", tmp_path)
    (tmp_path / "predictions.jsonl").write_text(f"{first}{json.dumps(kept)}\n{third[:-9]}", encoding="utf-8")
    assert main([*words(batch_size=2), "--out", str(tmp_path)]) == 0
    assert lines(tmp_path) == [lines(whole)[0], kept, *lines(whole)[2:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--max-new-tokens", "8"], "max_new_tokens was 7, is 8"),
        (["--dtype", "float32"], "dtype was auto, is float32"),
        (["--limit", "3"], r"data was 4 questions of .*, is 3 questions of"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_runs_are_not_mixed(
    words: Callable[..., list[str]],
    whole: Path,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    message: str,
) -> None:
    before = {path: path.read_bytes() for path in whole.iterdir()}
    assert main([*words(), *change, "--out", str(whole)]) == 2
    said = capsys.readouterr().err
    assert f"{whole} holds answers of another run" in said
    assert said.rstrip().endswith("restore these to continue it, or give another --out")
    assert re.search(message, said)
    assert {path: path.read_bytes() for path in whole.iterdir()} == before


def test_a39_two_processes_do_what_one_does(words: Callable[..., list[str]], whole: Path, tmp_path: Path) -> None:
    """They also take in what three processes of a killed run have left."""
    (tmp_path / "predictions.2.jsonl").write_text(f"{json.dumps(lines(whole)[2])}\n{{", encoding="utf-8")
    shutil.copy(whole / "settings.json", tmp_path)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launch, "-m", "pathplugins.cli", *words(batch_size=1), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    assert "2 of 2 questions answered (this process's share of 2)" in done.stderr
    assert done.stdout.count("yes_no_accuracy") == 1
    for name in ("predictions.jsonl", "metrics.json"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in whole.iterdir()}


def test_bad_samples_come_first_and_in_one_report(
    words: Callable[..., list[str]], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    shutil.copytree(images, folder)
    (folder / "1.png").unlink()
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:-400])
    out = tmp_path / "out"
    assert main([*words(image_folder=folder), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert "2 of 4 samples cannot be used: 1 x missing file, 1 x unreadable file" in said
    assert said.rstrip().endswith("Correct these samples, or pass --on-bad-sample skip to leave them out.")
    assert [path.name for path in out.iterdir()] == ["bad_samples.jsonl"]
    assert main([*words(image_folder=folder, on_bad_sample="skip"), "--out", str(out)]) == 0
    assert [line["id"] for line in lines(out)] == ["q0", "q3"]
    metrics = read_json(out / "metrics.json")
    assert (metrics["questions"], metrics["left_out"]) == (2, 2)


def test_a_question_without_an_image_is_not_asked(
    words: Callable[..., list[str]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The language model alone would answer it, and nobody could tell."""
    alone = {
        "id": "alone",
        "conversations": [{"from": "human", "value": "What is normal?"}, {"from": "gpt", "value": "a gland"}],
    }
    more = tmp_path / "more.jsonl"
    more.write_text(data.read_text() + json.dumps(alone) + "\n")
    assert main([*words(data=more), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "1 of 5 samples cannot be used: 1 x no image" in said
    assert f"{more}:5: no image: alone: names no image, so that the model would answer from its language model" in said
    assert main([*words(data=more, on_bad_sample="skip"), "--out", str(tmp_path / "out")]) == 0
    assert [line["id"] for line in lines(tmp_path / "out")] == ["q0", "q1", "q2", "q3"]
    assert read_json(tmp_path / "out" / "metrics.json")["left_out"] == 1


def test_a_bag_among_images_is_called_one(
    words: Callable[..., list[str]], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import h5py

    shutil.copytree(images, tmp_path / "images")
    with h5py.File(tmp_path / "images" / "1.png", "w") as file:
        file["features"] = np.ones((3, 9))
    assert main([*words(image_folder=tmp_path / "images"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert re.search(r"1\.png is a feature bag; \S+ reads images \(PNG, JPEG, TIFF\)\. Give an image", said)


def test_a35_answers_without_a_letter_are_counted(
    words: Callable[..., list[str]], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "test.csv"
    choices = ["A: benign", "B: malignant", "C: normal", "D: unclear"]
    with table.open("w", newline="") as stream:
        header = ["Figure_path", "Question", *(f"Choice {letter}" for letter in "ABCD"), "Answer_label"]
        csv.writer(stream).writerows([header, *([f"{n}.png", QUESTIONS[n], *choices, "AB"[n % 2]] for n in range(3))])
    out = tmp_path / "out"
    assert main([*words(data=table, format="pmc_vqa", task="choices"), "--out", str(out)]) == 0
    assert [line["answer"] for line in lines(out)] == ["A) benign", "B) malignant", "A) benign"]
    scores = read_json(out / "metrics.json")["metrics"]
    assert scores["accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 3}
    assert scores["unparsed"] == 3
    assert [line.split() for line in capsys.readouterr().out.splitlines()][1:3] == [
        ["accuracy", "0.0000", "0.0000", "-", "0.0000", "3"],
        ["unparsed", "3"],
    ]


def test_a36_class_folders_in_half_precision(words: Callable[..., list[str]], images: Path, tmp_path: Path) -> None:
    """A4, A38 too; two images of each class are drawn, not the four of the first."""
    for name in ("InSitu", "Benign"):
        shutil.copytree(images, tmp_path / "Photos" / name)
    out, labels = tmp_path / "out", json.dumps({"InSitu": "in situ carcinoma", "Benign": "healthy"})
    options = {"data": tmp_path / "Photos", "format": "class_folders", "task": "labels", "dtype": "bfloat16"}
    assert main([*words(**options, limit=4, option=f"labels={labels}"), "--out", str(out)]) == 0
    assert [line["id"] for line in lines(out)] == ["Benign/0", "Benign/2", "InSitu/0", "InSitu/2"]
    scores = read_json(out / "metrics.json")["metrics"]
    assert (scores["accuracy"]["value"], scores["unparsed"]) == (0.0, 4)
    assert {label: row["n"] for label, row in scores["classes"].items()} == {"healthy": 2, "in situ carcinoma": 2}
    assert scores["confusion"] == [[0, 0, 2], [0, 0, 2]]
    single = tmp_path / "single"
    options["dtype"] = "float32"
    assert main([*words(**options, limit=4, option=f"labels={labels}"), "--out", str(single)]) == 0
    assert [line["prediction"] for line in lines(single)] != [line["prediction"] for line in lines(out)]


def test_scores_per_category(
    words: Callable[..., list[str]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked again of answers that are there, with a field of the data and with what the answers are."""
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    more = tmp_path / "more.jsonl"
    more.write_text("".join(f"{json.dumps({**row, 'organ': 'lung' * (n % 2)})}\n" for n, row in enumerate(rows)))
    out = tmp_path / "out"
    assert main([*words(data=more), "--by", "Organ", "--out", str(out)]) == 0
    by = read_json(out / "metrics.json")["by"]
    assert {value: scores["questions"] for value, scores in by["Organ"].items()} == {"(none)": 2, "lung": 2}
    assert by["Organ"]["(none)"]["accuracy"]["value"] == 0.5
    assert by["Organ"]["lung"]["yes_no_accuracy"]["n"] == 2
    before = (out / "predictions.jsonl").read_bytes()
    assert main([*words(data=more), "--by", "answer_type", "--out", str(out)]) == 0
    assert (out / "predictions.jsonl").read_bytes() == before
    assert [*read_json(out / "metrics.json")["by"]["answer_type"]] == ["closed", "open"]
    assert re.search(r"answer_type +questions +accuracy .*\nclosed +2 ", capsys.readouterr().out)


def test_drawn_answers_depend_on_the_seed_alone(words: Callable[..., list[str]], whole: Path, tmp_path: Path) -> None:
    """Not on batches nor on where a run was stopped; the settings say how they were drawn."""
    drawn = words("--temperature", "1.5", "--seed", "3")
    assert main([*drawn, "--batch-size", "4", "--out", str(tmp_path / "a")]) == 0
    said = [line["prediction"] for line in lines(tmp_path / "a")]
    assert said != [line["prediction"] for line in lines(whole)]
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    kept = (tmp_path / "b" / "predictions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[2:]
    (tmp_path / "b" / "predictions.jsonl").write_text("".join(kept), encoding="utf-8")
    assert main([*drawn, "--batch-size", "1", "--out", str(tmp_path / "b")]) == 0
    assert lines(tmp_path / "b") == lines(tmp_path / "a")
    settings = read_json(tmp_path / "a" / "settings.json")
    assert (settings["temperature"], settings["seed"], settings["num_beams"], settings["system"]) == (
        1.5,
        3,
        None,
        None,
    )
    assert main([*words("--temperature", "1.5", "--seed", "4"), "--out", str(tmp_path / "a")]) == 2


def test_beams_and_a_system_prompt_are_obeyed(
    words: Callable[..., list[str]], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both change the answers of this model, and are recorded."""
    greedy = [line["prediction"] for line in lines(whole)]
    for option, value in (("--num-beams", "3"), ("--system", "You see normal tissue of the gland.")):
        out = tmp_path / option
        assert main([*words(option, value), "--out", str(out)]) == 0
        assert [line["prediction"] for line in lines(out)] != greedy
        assert str(read_json(out / "settings.json")[option[2:].replace("-", "_")]) == value
    assert main([*words("--system", "Other."), "--out", str(tmp_path / "--system")]) == 2
    assert "system was You see normal tissue of the gland., is Other." in capsys.readouterr().err


def write_suite(name: str, folder: Path, images: Path) -> None:
    """Three questions as they are published, and their images."""
    if name == "class-folders":
        for part in ("train", "test"):
            for label in ("Benign", "InSitu"):
                shutil.copytree(images, folder / part / label)
        return
    places = {"pathvqa": "pvqa/images/test", "pmc-vqa": "figures", "quilt-vqa": "quilt_vqa/images"}
    place = folder / (places | {"quilt-vqa-red": "red_circle", "pmc-vqa-quilt": "pmcvqa_images"})[name]
    shutil.copytree(images, place)
    if name == "pathvqa":
        (folder / "pvqa" / "qas").mkdir()
        for split, answers in (("train", ["x"]), ("test", ["yes", "no", "a gland"])):
            rows = [{"image": str(n), "question": "Is it?", "answer": text} for n, text in enumerate(answers)]
            for row in rows:
                (place / f"{row['image']}.png").with_suffix(".jpg").write_bytes((images / "0.png").read_bytes())
            (folder / "pvqa" / "qas" / f"{split}_qa.pkl").write_bytes(pickle.dumps(rows))
    elif name == "pmc-vqa":
        rows = [f"{n}.png,Which?,A: benign,B: malignant,,,{'AB'[n % 2]}" for n in range(3)]
        header = "Figure_path,Question,Choice A,Choice B,Choice C,Choice D,Answer_label"
        (folder / "test_clean.csv").write_text("\n".join([header, *rows, ""]))
    elif name == "pmc-vqa-quilt":
        rows = [f"{n % 3}.png,Which?, A: benign, B: malignant,,,{'AB'[n % 2]},{n == 3}" for n in range(4)]
        header = "Figure_path,Question,Choice A,Choice B,Choice C,Choice D,Answer,in_quilt"
        (folder / "pmcvqa_pathology_subset.csv").write_text("\n".join([header, *rows, ""]))
    else:
        row = {"question": "Is it?", "answer": "It is.", "answer_type": "CLOSED", "yes_no_answer": "yes"}
        other = {"question": "What is it?", "answer": "A gland of the breast.", "answer_type": "OPEN"}
        rows = [{"id": n, "image": f"{n}.png", **(other if n else row)} for n in range(3)]
        red = "_red" if name.endswith("red") else ""
        (folder / f"quiltvqa{red}_test_w_ans.json").write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ("suite", "task", "measure", "by"),
    [
        ("pathvqa", "vqa", "yes_no_accuracy", {"answer_type": {"closed": 2, "open": 1}}),
        ("pmc-vqa", "choices", "accuracy", {}),
        ("quilt-vqa", "vqa", "other_token_recall", {"answer_type": {"closed": 1, "open": 2}}),
        ("quilt-vqa-red", "vqa", "other_token_recall", {"answer_type": {"closed": 1, "open": 2}}),
        ("pmc-vqa-quilt", "choices", "accuracy", {}),
        ("class-folders", "labels", "macro_f1", {}),
    ],
)
def test_suites_of_images(
    model: str, images: Path, tmp_path: Path, suite: str, task: str, measure: str, by: dict[str, Any]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_suite(suite, data, images)
    words = ["evaluate", model, "--suite", suite, "--data", str(data), "--out", str(out)]
    assert main([*words, "--device", "cpu", "--max-new-tokens", "3"]) == 0
    told = read_json(out / "metrics.json")
    assert (told["suite"], told["task"]) == (suite, task)
    assert told["questions"] == (8 if suite == "class-folders" else 3)
    assert measure in told["metrics"]
    found = {
        field: {value: part["questions"] for value, part in groups.items()} for field, groups in told["by"].items()
    }
    assert found == by


def write_slide_suite(name: str, folder: Path, write_h5: Callable[..., Path]) -> list[str]:
    """Questions about two bags as they are published; returns the options that fit their names to the bags."""
    (folder / "bags").mkdir(parents=True)
    for slide in ("s1", "s2"):
        shutil.copy(write_h5(slide, 9, width=64), folder / "bags")
    if name == "slidebench":
        header = "ID,Slide,Tumor,Broad Category,Narrow Category,Question,A,B,C,D,Answer"
        rows = [f"{n},s{n},BRCA,Diagnosis,{'Staging' * (n % 2) or 'Grading'},Which?,I,II,III,IV,B" for n in (1, 2)]
        (folder / "SlideBench-VQA-TCGA.csv").write_text("\n".join([header, *rows, ""]))
    else:
        for task, answer in (("1_Report", "A duct."), ("Staging_choice", "B"), ("Prognosis_TF_question", "Yes")):
            turns = [("human", "<image>\nWhich stage? A) I B) II"), ("gpt", answer)]
            conversation = [{"from": speaker, "value": text} for speaker, text in turns]
            rows = [{"id": f"s{n}-1", "image": f"TCGA-BRCA/s{n}.pt", "conversations": conversation} for n in (1, 2)]
            (folder / f"{task}_test.json").write_text(json.dumps(rows))
    return ["--option", "image_suffix=.h5", "--option", "flat_images=true"]


@pytest.mark.parametrize(
    ("suite", "measure", "by"),
    [
        (
            "slidebench",
            "accuracy",
            {"Tumor": {"BRCA": 2}, "Broad Category": {"Diagnosis": 2}, "Narrow Category": {"Grading": 1, "Staging": 1}},
        ),
        ("wsi-bench", "rouge_l", {"metadata": {"Report": 2}}),
        ("wsi-bench-choices", "accuracy", {"metadata": {"Staging_choice": 2}}),
    ],
)
def test_suites_of_slides(
    talker: Path, write_h5: Callable[..., Path], tmp_path: Path, suite: str, measure: str, by: dict[str, Any]
) -> None:
    if measure == "rouge_l":
        pytest.importorskip("rouge_score")
    data, out = tmp_path / "data", tmp_path / "out"
    fit = write_slide_suite(suite, data, write_h5)
    words = ["evaluate", str(talker), "--suite", suite, "--data", str(data), "--out", str(out), *fit]
    assert main([*words, "--device", "cpu", "--max-new-tokens", "3"]) == 0
    told = read_json(out / "metrics.json")
    assert (told["suite"], told["questions"]) == (suite, 2)
    assert measure in told["metrics"]
    found = {
        field: {value: part["questions"] for value, part in groups.items()} for field, groups in told["by"].items()
    }
    assert found == by


def test_reports_are_scored_with_terms_of_ones_own(
    words: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rouge_score")
    terms = tmp_path / "terms.txt"
    terms.write_text("yes\nunheardof\n")
    out = tmp_path / "out"
    assert main([*words(task="report", terms=terms), "--out", str(out)]) == 0
    scores = read_json(out / "metrics.json")["metrics"]
    assert {*scores} == {
        *("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "meteor", "cider", "term_recall", "empty"),
    }
    assert scores["term_recall"]["value"] < 1  # nobody says "unheardof"
    assert 0 < scores["bleu_1"]["value"] < 1  # one answer is right to the word
    assert "rouge_l" in capsys.readouterr().out


def test_a_judge_grades_reports(
    words: Callable[..., list[str]], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of answers that are there already: nothing is asked of the model again, and what decides answers is the same."""
    pytest.importorskip("requests")
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    with serving() as server:
        server.reply = lambda number, _: server.completion(f"So.\nScore: {number}")
        judge = ["--judge", server.url, "--judge-model", "wise"]
        assert main([*words("--by", "answer_type", *judge), "--out", str(out)]) == 0
        assert (len(server.bodies), server.bodies[0]["model"]) == (2, "wise")  # those not answered by yes or no
        told = read_json(out / "metrics.json")
        assert (told["metrics"]["judge_score"]["value"], told["metrics"]["judge_score"]["n"]) == (1.5, 2)
        assert (told["metrics"]["judge_unparsed"], told["by"]["answer_type"]["open"]["judge_score"]["n"]) == (0, 2)
        assert (told["judge"]["model"], told["judge"]["scale"]) == ("wise", [0, 4])
        assert re.search(r"judge_score +1\.5000  1\.0000 - 2\.0000 +2", capsys.readouterr().out)
        assert (out / "predictions.jsonl").read_bytes() == (whole / "predictions.jsonl").read_bytes()
        server.reply = lambda *_: (400, "no")
        assert main([*words(*judge), "--out", str(out)]) == 0
        assert len(server.bodies) == 2
        assert main([*words("--judge", server.url, "--judge-model", "other"), "--out", str(out)]) == 1
    assert read_json(out / "metrics.json")["metrics"]["judge_failed"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"terms": "terms.txt"}, "--terms belongs to --task report, not to --task vqa; leave it out"),
        ({"task": "report", "terms": "nowhere.txt"}, "--terms nowhere.txt: no such file; give a text file"),
        ({"by": "organ"}, "--by organ: the data has no such field, only 'id', 'image', 'conversations', 'answer_type'"),
        ({"temperature": "nan"}, "--temperature is nan, expected 0 (the likeliest token) or above"),
        ({"seed": 3}, "--seed 3 has nothing to draw without --temperature"),
        ({"temperature": 1, "seed": -1}, "--seed is -1, expected 0 to 4294967295"),
        ({"as_published": "quilt-llava", "task": "labels"}, "quilt-llava scores --task vqa or choices, not labels"),
        ({"reviews": "r.jsonl"}, "--reviews belongs to --as-published quilt-llava|wsi-llava; give both"),
        ({"as_published": "quilt-llava", "reviews": "nowhere.jsonl"}, "--reviews nowhere.jsonl: no such file"),
        ({"num_beams": 0}, "--num-beams is 0, expected 1 or more"),
        ({"system": " "}, "--system is empty"),
        (
            {"image_aspect_ratio": "square"},
            "--image-aspect-ratio square: this model reads images as anyres; the option",
        ),
        ({"bits": 4}, "--bits 4 needs an NVIDIA GPU, the device is cpu"),
        ({"judge": "http://127.0.0.1:1/v1"}, "--judge needs --judge-model NAME; URL/models lists the names"),
        ({"batch_size": 0}, "--batch-size is 0, expected 1 or more"),
        ({"option": "split=test"}, "--option split=test: expected NAME=VALUE; llava has the options ids"),
        (
            {"option": "idss=x"},
            "columns, tags, image_suffix, flat_images. Did you mean ids=VALUE?",
        ),
        ({"data": "nowhere.jsonl"}, "--data nowhere.jsonl: no such file or folder"),
        ({"image_folder": "nowhere"}, "--image-folder nowhere: no such folder"),
        ({"adapter": "nowhere"}, "--adapter nowhere: no such directory"),
        ({"task": "choices"}, "4 x answer not among choices"),
    ],
    ids=str,
)
def test_mistakes(
    words: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    message: str,
) -> None:
    assert main([*words(**changes), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
