"""``pathplugins report``: one page that needs nothing beside it, from the folders of `evaluate` and `ablate`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathplugins.cli import main
from pathplugins.core.files import read_json
from pathplugins.data.scoring.paired import difference, unchanged
from pathplugins.data.scoring.tasks import Task, score, score_groups

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = '<script>alert("x")</script>'


def write_run(
    folder: Path, said: Sequence[str], right: Sequence[str], *, task: Task = "vqa", images: Sequence[Path] = ()
) -> Path:
    """Write what `evaluate` leaves."""
    lines: list[dict[str, Any]] = [
        {
            "id": f"q{n}",
            "source": "test.jsonl",
            "row": n + 1,
            "images": [str(images[n % len(images)])] if images else [],
            "question": f"What is {n}? {HOSTILE}",
            "answer": answer,
            "prediction": text,
        }
        for n, (answer, text) in enumerate(zip(right, said, strict=True))
    ]
    labels = sorted({*right}) if task == "labels" else ()
    groups = {line["id"]: f"organ {n % 2} {HOSTILE}" for n, line in enumerate(lines)}
    told = {
        "task": task,
        "suite": None,
        "questions": len(lines),
        "left_out": 0,
        "metrics": score(task, lines, labels=labels),
        "by": {"organ": score_groups(task, lines, groups, labels=labels)},
        "settings": {"model": f"model {HOSTILE}", "seed": None},
        "versions": {"torch": "2"},
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(told))
    (folder / "predictions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def write_ablation(folder: Path, right: Sequence[str]) -> Path:
    real = write_run(folder / "real", right, right)
    ones = np.ones(len(right))
    conditions = {
        "real": {"shown": "its own picture", "metrics": read_json(real / "metrics.json")["metrics"]},
        "zeroed": {
            "shown": "zeros",
            "metrics": score("vqa", [{"question": "", "answer": "a", "prediction": "b"}]),
            "lost": difference(ones, 0 * ones),
            "unchanged": unchanged(right, right),
        },
    }
    told = {"task": "vqa", "measure": "accuracy", "questions": len(right), "left_out": 0, "conditions": conditions}
    (folder / "ablation.json").write_text(json.dumps({**told, "settings": {"model": "m"}, "versions": {}}))
    return folder


class Page(HTMLParser):
    """Everything a browser would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = []
    for n, (w, h) in enumerate([(400, 300), (90, 700)]):
        paths.append(tmp_path / f"{n}.png")
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (h, w, 3), dtype=np.uint8)).save(paths[-1])
    (tmp_path / "bag.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    return [paths[0], tmp_path / "bag.h5", tmp_path / "gone.png", paths[1]]


def test_a_page_of_everything(tmp_path: Path, images: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    right = ["yes", "a gland", "two", "no"] * 10
    first = write_run(tmp_path / "first", ["no"] * 40, right, images=images)
    second = write_run(tmp_path / "second", right[:20] + ["no"] * 20, right, images=images)
    other = write_run(
        tmp_path / "other", ["benign", "unclear", "in situ"], ["benign", "in situ", "in situ"], task="labels"
    )
    ablation = write_ablation(tmp_path / "ablation", right)
    out = tmp_path / "report.html"
    assert main(["report", *map(str, (first, second, other, ablation)), "--out", str(out)]) == 0
    assert re.fullmatch(rf"{out} \(\d+ kB\)\n", capsys.readouterr().out)
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert {address.partition(",")[0] for address in page.loaded} == {"data:image/jpeg;base64"}
    assert "script" not in page.tags
    assert "default-src 'none'" in text
    assert "3 runs, 1 ablation." in text
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    # the first run is right for 10 "no" of 40, the second also for the 15 others of the first half
    assert f"{second} {first} accuracy 0.375" in plain
    assert "certain" in plain
    assert f"{other} {first} accuracy - - another task" in plain
    assert "bag.h5, a feature bag" in plain
    assert "gone.png is no longer there" in plain
    assert "zeroed zeros 0.000" in plain
    assert page.tags.count("article") == 24
    assert "right \\ said benign in situ none" in plain


def test_a_thousand_questions_stay_small(tmp_path: Path, images: list[Path]) -> None:
    words = "a gland with atypia and necrosis beside normal stroma " * 20
    right = [f"{words} {n}" for n in range(1000)]
    runs = [write_run(tmp_path / f"run {n}", right[::-1], right, images=images[:1]) for n in range(3)]
    out = tmp_path / "report.html"
    assert main(["report", *map(str, runs), "--out", str(out)]) == 0
    assert 100_000 < out.stat().st_size < 5_000_000
    assert Page(out.read_text()).tags.count("tr") > 1000


def test_a_judge_is_heard(tmp_path: Path) -> None:
    """What it said of the worst answers, its mean beside the other scores, and its prompt among the settings."""
    run = write_run(tmp_path / "run", ["a gland", "no", "no"], ["a gland", "a duct", "fat"])
    grades: list[Any] = [4, 1, "failed"]
    rows = [{"id": f"q{n}", "grade": grade} for n, grade in enumerate(grades)]
    rows[1] |= {"reply": f"It is wrong. {HOSTILE}\nScore: 1", "model": "m"}
    rows[2] |= {"error": "timeout: no reply within 120 s"}
    (run / "judgements.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    told = read_json(run / "metrics.json")
    graded = [{"question": "", "answer": "a", "prediction": "", "grade": grade} for grade in grades]
    told["metrics"] |= {k: v for k, v in score("vqa", graded).items() if k.startswith("judge")}
    told["judge"] = {"model": "wise", "prompt": "Compare.\nScore: N"}
    (run / "metrics.json").write_text(json.dumps(told))
    out = tmp_path / "report.html"
    assert main(["report", str(run), "--out", str(out)]) == 0
    text = out.read_text()
    assert "script" not in Page(text).tags
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert "judge 1 of 4: It is wrong. &lt;script&gt;" in plain
    assert "judge failed: timeout: no reply within 120 s" in plain
    assert "judge score" in plain
    assert "2.500 1.000 to 4.000" in plain
    assert "judge prompt Compare. Score: N" in plain
    del told["judge"]  # scored again without one: what lies there is of before
    (run / "metrics.json").write_text(json.dumps(told))
    assert main(["report", str(run), "--out", str(out)]) == 0
    assert "It is wrong" not in out.read_text()


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_a_browser_without_a_network_shows_it(tmp_path: Path, images: list[Path]) -> None:
    """Everything is drawn, nothing is asked for, and nothing is wrong with the page."""
    sync_api = pytest.importorskip("playwright.sync_api")
    run = write_run(tmp_path / "run", ["fat"] * 4, ["yes", "a gland", "two", "no"], images=images)
    training = tmp_path / "saves"
    training.mkdir()
    rows = [{"current_steps": step, "loss": 3.0 / step} for step in range(1, 30)]
    rows += [{"current_steps": 29, "eval_loss": 0.5}]
    (training / "trainer_log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    out = tmp_path / "report.html"
    assert main(["report", str(run), "--training", str(training), "--out", str(out)]) == 0
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        context = browser.new_context(offline=True)
        page = context.new_page()
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(out.as_uri())
        assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
        assert asked[0] == out.as_uri()
        assert sum(url.startswith("file:") for url in asked) == 1
        assert complaints == []
        assert page.locator("h2").all_inner_texts()[0] == "Scores"
        assert page.locator("#training").inner_text() == "Training"
        line = page.locator(".losses > svg .curve").first.bounding_box()
        assert line is not None
        assert min(line["width"], line["height"]) > 100
        assert page.locator(".losses > svg circle").count() == 30
        assert "evaluation loss: 0.5 at step 29" in page.locator(".losses .legend").inner_text()
        pictures = page.locator("article img")
        for index in range(pictures.count()):
            pictures.nth(index).scroll_into_view_if_needed()
            assert pictures.nth(index).evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert pictures.count() == 2
        browser.close()


def test_no_mistake_and_no_case(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert main(["report", str(write_run(tmp_path / "run", ["yes"], ["yes"])), "--out", str(out)]) == 0
    assert "None are shown: every answer is right" in out.read_text()
    only = write_ablation(tmp_path / "ablation", ["yes", "no"])
    assert main(["report", str(only), "--out", str(out), "--cases", "0"]) == 0
    assert "1 ablation." in out.read_text()


def no_folder(root: Path) -> list[Path]:
    return [root / "nowhere"]


def no_results(root: Path) -> list[Path]:
    (root / "empty").mkdir()
    return [root / "empty"]


def unfinished(root: Path) -> list[Path]:
    folder = write_run(root / "run", ["yes", "no"], ["yes", "no"])
    lines = (folder / "predictions.jsonl").read_text().splitlines(keepends=True)
    (folder / "predictions.jsonl").write_text(lines[0])
    return [folder]


def of_another(root: Path) -> list[Path]:
    (root / "run").mkdir()
    (root / "run" / "metrics.json").write_text('{"metrics": {}}')
    return [root / "run"]


def of_another_ablation(root: Path) -> list[Path]:
    (root / "run").mkdir()
    (root / "run" / "ablation.json").write_text('{"conditions": {}}')
    return [root / "run"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_folder, "no such folder; name the --out of evaluate or ablate"),
        (no_results, "holds neither metrics.json of evaluate nor ablation.json of ablate"),
        (unfinished, "is about 2 questions and 1 are answered; run the command"),
        (of_another, "is not of pathplugins evaluate"),
        (of_another_ablation, "ablation.json is not of pathplugins ablate"),
    ],
)
def test_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], list[Path]], message: str
) -> None:
    folders = make(tmp_path)
    assert main(["report", *map(str, folders), "--out", str(tmp_path / "report.html")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_where_the_page_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(write_run(tmp_path / "run", ["yes"], ["yes"]))
    for out in (tmp_path, tmp_path / "run" / "metrics.json"):
        assert main(["report", run, "--out", str(out)]) == 2
        assert "expected the name of a page, such as report.html" in capsys.readouterr().err
    assert main(["report", run, "--out", str(tmp_path / "r.html"), "--cases", "-1"]) == 2
    assert "--cases is -1, expected 0 or more" in capsys.readouterr().err
