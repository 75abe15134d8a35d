"""The page: nothing outside the file, names never markup, headers for tables, a real browser where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torchmetrics")
pytest.importorskip("jinja2")
from pathplugins.classify.scoring.classification import score_classes
from pathplugins.classify.scoring.html import TEMPLATES, page
from pathplugins.classify.scoring.plots import contrast
from pathplugins.classify.scoring.report import report_of
from pathplugins.classify.scoring.resampling import resampling
from pathplugins.classify.scoring.segmentation import score_masks
from pathplugins.classify.scoring.shown import Case, outlined, picture

HOSTILE = "<script>alert(1)</script>&\"'.png"
REFERENCES = {"src", "srcset", "href", "xlink:href", "data", "action", "poster", "background", "cite", "formaction"}
VOID = {"meta", "img", "br", "hr", "link", "input"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "firefox"))), None)


class Elements(HTMLParser):
    """All elements with their attributes; every one of them closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def about(name: str) -> dict[str, Any]:
    data = {"path": name, "part": "test", "samples": 40, "licence": "CC0 1.0"}
    return {"run": {"name": name, "recipe": "finetune"}, "data": data, "settings": {}, "worst": []}


def page_of_classes(classes: tuple[str, ...] = ("normal", HOSTILE), *, alone: bool = False) -> str:
    random = np.random.default_rng(len(classes))
    labels = np.zeros(40, np.int64) if alone else random.integers(0, len(classes) - (len(classes) > 2), 40)
    probabilities = random.dirichlet(np.ones(len(classes)), 40).astype(np.float32)
    drawn = resampling([f"s{index % 9}" for index in range(40)], 40)
    scores = score_classes(labels, probabilities, classes, drawn, ["n"] * 40)
    shot = picture(random.integers(0, 256, (30, 20, 3), np.uint8), alt=HOSTILE)
    case = Case(name=HOSTILE, facts=[("truth", HOSTILE)], pictures=[shot])
    return page(report_of(scores, drawn, **about(HOSTILE)), [case])


def page_of_masks() -> str:
    mask = np.zeros((30, 20), np.uint8)
    mask[5:9] = 1
    pair = [
        picture(outlined(np.full((30, 20, 3), 99, np.uint8), mask), alt=HOSTILE, caption=what) for what in ("p", "t")
    ]
    drawn = resampling(None, 2)
    counts = np.array([[[3, 1, 0], [1, 5, 0], [0, 0, 0]], [[2, 0, 0], [0, 1, 0], [0, 0, 0]]])
    scores = score_masks(counts, ("a", HOSTILE, "c"), drawn)
    return page(report_of(scores, drawn, **about(HOSTILE)), [Case(name=HOSTILE, facts=[("Dice", "0")], pictures=pair)])


PAGES = {
    "two": page_of_classes,
    "twenty": lambda: page_of_classes(tuple(f"organ {index}" for index in range(20))),
    "alone": lambda: page_of_classes(alone=True),
    "masks": page_of_masks,
}


@pytest.fixture(scope="module", params=PAGES)
def text(request: pytest.FixtureRequest) -> str:
    return PAGES[request.param]()


def test_nothing_lies_outside_the_file(text: str) -> None:
    elements = Elements(text)
    for tag, attributes in elements.found:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in REFERENCES:
                assert value.startswith("data:image/jpeg;base64,"), (tag, name)
            assert not re.search(r"url\(|https?:|//", value) or value.startswith("data:") or name == "alt"
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert not re.search(r"@import|url\(|https?:", style)
    (policy,) = [meta["content"] for meta in elements.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")


def test_names_are_data(text: str) -> None:
    assert "<script" not in text
    assert HOSTILE in "".join(Elements(text).text)


def test_it_can_be_read_without_seeing_it(text: str) -> None:
    elements = Elements(text)
    assert elements.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in elements.all("img"))
    assert all(cell["scope"] in ("row", "col") for cell in elements.all("th"))
    for drawing in elements.all("svg"):
        assert drawing.get("aria-label") or drawing.get("aria-hidden") == "true"
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for attributes in elements.all("section")} <= set(ids)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_stand_out(scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(encoding="utf-8"), re.DOTALL)[scheme]
    colours = {name: tuple(bytes.fromhex(value)) for name, value in re.findall(r"--(\w+): #(\w{6})", block)}
    for ground in ("page", "card"):
        for name in ("text", "quiet", "accent"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for index in range(8):  # lines of a drawing: 3 to 1
        assert contrast(colours[f"c{index}"], colours["page"]) >= 3, index


def test_what_is_undefined_is_said() -> None:
    text = "".join(Elements(PAGES["alone"]()).text)
    assert "There is no curve: all samples are 'normal'" in text
    assert f"no sample is {HOSTILE!r}" in text


@pytest.mark.skipif(BROWSER is None or "firefox" in BROWSER, reason="needs Chromium")
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_opens_it(tmp_path: Path, width: int) -> None:
    place = tmp_path / "report.html"
    place.write_text(PAGES["twenty"](), encoding="utf-8")
    # a page wider than its window would show the probe's colour nowhere: it stands at the right edge
    probe = '<div style="position:fixed;right:0;top:0;width:9px;height:9px;background:#ff0000"></div></body>'
    place.write_text(place.read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    shot = tmp_path / "shot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'u'}"]
    command = [BROWSER, *options, f"--window-size={width},900", f"--screenshot={shot}", place.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    pixels = np.asarray(Image.open(shot).convert("RGB"))
    assert pixels.shape[1] == width
    assert pixels[3, -4].tolist() == [255, 0, 0]
    ink = (np.abs(pixels.astype(int) - pixels[-1, 0]).sum(-1) > 300)[:, : width - 10]
    assert ink.mean() > 0.005  # it is not blank
    assert not ink[:, -8:].any()  # and nothing is cut off at the right
