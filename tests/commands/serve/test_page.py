"""The page in a real browser, which may reach nothing but the server: what a pathologist does, from list to heat."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from viewed_files import ODD, Viewed, serving

from pathplugins.commands.serve.viewer import HOW, has_viewer

pytest.importorskip("openslide")
pytest.importorskip("timm")
pytest.importorskip("fastapi")
sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright (extra `test`)")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class Browser(NamedTuple):
    """A browser that is kept to the server."""

    page: Any
    elsewhere: list[str]
    """Addresses that were asked for and are not the server's."""
    said: list[str]
    """Errors in the browser's console."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not has_viewer():
        pytest.skip(f"`make env` could not fetch OpenSeadragon from npm; run `{HOW}`")
    with sync_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        path = str(own) if own.is_file() else next(filter(None, map(shutil.which, NAMES)), None)
        if path is None:
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


def opened(chromium: Any, server: str, **options: Any) -> Browser:
    page = chromium.new_context(viewport={"width": 1360, "height": 820}, **options).new_page()
    browser, here = Browser(page, [], []), urlsplit(server).netloc

    def only_here(route: Any) -> None:
        if urlsplit(route.request.url).netloc == here or route.request.url.startswith(("data:", "blob:")):
            route.continue_()
        else:
            browser.elsewhere.append(route.request.url)
            route.abort()

    page.route("**/*", only_here)
    page.on("console", lambda message: browser.said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: browser.said.append(str(error)))
    page.set_default_timeout(30_000)
    page.goto(server)
    page.wait_for_selector("body[data-ready]")
    return browser


@pytest.fixture(scope="module")
def browser(chromium: Any, server: str) -> Browser:
    return opened(chromium, server)


def expect(found: Any) -> Any:
    return sync_api.expect(found)


def open_file(page: Any, name: str) -> None:
    page.locator("#list button", has=page.get_by_text(name, exact=True)).click()
    expect(page.locator("#about")).not_to_be_empty()


def pixels(page: Any) -> np.ndarray:
    """What the viewer shows, [H, W, 3]."""
    png = page.locator("#viewer").screenshot(caret="initial", animations="allow")
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def until_pixels(page: Any, wanted: Any) -> np.ndarray:
    """The pixels of the viewer once ``wanted`` of them is true; tiles come one by one."""
    for _ in range(100):
        seen = pixels(page)
        if wanted(seen):
            return seen
        page.wait_for_timeout(100)
    raise AssertionError("the viewer never showed it")


def still(page: Any) -> np.ndarray:
    """The pixels of the viewer once they stay the same."""
    latest = [pixels(page)]
    return until_pixels(page, lambda seen: latest.append(seen) or np.array_equal(*latest[-2:]))


def stained(seen: np.ndarray) -> float:
    """Share of pixels that are pink or purple."""
    return float(((seen[..., 0] - seen[..., 1]) > 25).mean())


def coloured(seen: np.ndarray, rgb: tuple[int, int, int], *, within: int = 40) -> int:
    """Number of pixels of about a colour."""
    return int((abs(seen - np.array(rgb)).max(axis=2) < within).sum())


def test_a_slide_is_shown_with_its_tissue(browser: Browser) -> None:
    page = browser.page
    open_file(page, "case_1.svs")
    expect(page.locator("#about")).to_have_text("1,536 × 1,280 px, 0.768 × 0.640 mm, 0.5 µm/px")
    before = until_pixels(page, lambda seen: stained(seen) > 0.15)
    expect(page.locator("#scale b")).to_contain_text("µm")
    page.keyboard.press("Escape")
    page.click("[data-layer=tissue]")
    expect(page.locator("[data-layer=tissue]")).to_have_attribute("aria-pressed", "true")
    green = (0, 140, 70)
    until_pixels(page, lambda seen: coloured(seen, green) > coloured(before, green) + 500)
    page.locator("#viewer").hover()
    page.mouse.wheel(0, -600)  # nearer: other tiles
    until_pixels(page, lambda seen: abs(seen - before).mean() > 5)
    page.locator("[data-layer=tissue]").press("t")
    expect(page.locator("[data-layer=tissue]")).to_have_attribute("aria-pressed", "false")


def test_patches_wait_for_the_first_question(browser: Browser) -> None:
    page = browser.page
    open_file(page, "case_1.svs")
    page.click("[data-layer=patches]")
    expect(page.locator("#note")).to_contain_text("cut and encoded when the first question is asked")
    expect(page.locator("[data-layer=patches]")).to_have_attribute("aria-pressed", "false")


def test_a_question_is_answered_and_the_answer_shows_where_it_looked(browser: Browser, viewed: Viewed) -> None:
    page = browser.page
    open_file(page, "case_1.svs")
    page.fill("#question", "What does this slide show?")
    page.press("#question", "Enter")
    expect(page.locator(".asked")).to_have_text("What does this slide show?")
    page.wait_for_selector(".after button")
    answer = page.locator(".told").inner_text()
    assert answer.strip()
    assert page.locator(".error:visible").count() == 0

    blue, red = (25, 60, 190), (220, 20, 30)
    for layer, colour in (("patches", blue), ("kept", red)):
        before = pixels(page)
        page.click(f"[data-layer={layer}]")
        until_pixels(
            page, lambda seen, before=before, c=colour: coloured(seen, c, within=60) > coloured(before, c) + 200
        )
    expect(page.locator("#note")).to_have_text("5 tokens kept of 11 patches that were read (random_sample).")
    page.click("[data-layer=patches]")
    page.click("[data-layer=kept]")

    before = pixels(page)
    page.click(".after button")
    expect(page.locator("#legend")).to_contain_text("Attention of the answer")
    whole = until_pixels(page, lambda seen: abs(seen - before).max(axis=2).mean() > 3)
    words = page.locator(".told button")
    assert words.count() == len(answer.split())
    words.nth(1).click()
    expect(page.locator("#legend")).to_contain_text(f"Attention of “{answer.split()[1]}”")
    expect(words.nth(1)).to_have_attribute("aria-pressed", "true")
    until_pixels(page, lambda seen: abs(seen - whole).mean() > 0.2)
    words.nth(1).click()
    expect(page.locator("#legend")).to_be_hidden()

    page.fill("#question", "And is there necrosis?")
    page.click("#send")
    expect(page.locator(".after")).to_have_count(2)
    open_file(page, "alone.h5")
    expect(page.locator("#turns li")).to_have_count(0)
    open_file(page, "case_1.svs")
    expect(page.locator(".asked")).to_have_text(["What does this slide show?", "And is there necrosis?"])


def test_bags_and_images_open_too(browser: Browser) -> None:
    page = browser.page
    open_file(page, "alone.h5")
    until_pixels(page, lambda seen: coloured(seen, (25, 60, 190), within=60) > 500)  # its patches, on a blank canvas
    open_file(page, "case_1.h5")
    expect(page.locator("#note")).to_have_text("Shown on files/slides/case_1.svs. 16 patches of 256 px.")
    until_pixels(page, lambda seen: stained(seen) > 0.15)
    open_file(page, "patch.png")
    until_pixels(page, lambda seen: len(np.unique(seen[seen.shape[0] // 3 : -seen.shape[0] // 3])) > 80)
    page.fill("#question", "What is it?")
    page.press("#question", "Enter")
    expect(page.locator(".told.error")).to_contain_text("reads feature bags of slides (H5)")


def test_names_are_text_and_never_markup(browser: Browser) -> None:
    page = browser.page
    page.fill("#filter", '"b" <img')
    expect(page.locator("#list button")).to_have_count(1)
    open_file(page, ODD)
    until_pixels(page, lambda seen: stained(seen) > 0.15)
    assert page.locator("img").count() == 0
    page.fill("#question", "What does this slide show?")
    page.click("#send")
    page.wait_for_selector(".after button")
    page.fill("#filter", "")


def test_a_damaged_slide_says_so_and_the_page_lives(browser: Browser) -> None:
    page = browser.page
    page.locator("#list button", has_text="cut_off.svs").click()
    expect(page.locator("#note")).to_contain_text("files/slides/cut_off.svs: it was cut off")
    expect(page.locator("#question")).to_be_disabled()
    open_file(page, "case_1.svs")
    until_pixels(page, lambda seen: stained(seen) > 0.15)


def test_the_keyboard_is_enough(browser: Browser) -> None:
    page = browser.page
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("alone")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#list button[aria-current=true]")).to_have_text("alone.h5bag")
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type("What does this slide show?")
    page.keyboard.press("Enter")
    expect(page.locator(".after")).to_have_count(1)
    page.fill("#filter", "")


def test_the_slide_lies_as_its_layers_do(browser: Browser) -> None:
    page = browser.page
    open_file(page, "case_1.svs")
    until_pixels(page, lambda seen: stained(seen) > 0.15)
    page.locator("#viewer .openseadragon-canvas").first.focus()
    before = still(page)
    for key in "rf":  # would turn and flip the slide under them
        page.keyboard.press(key)
        page.wait_for_timeout(200)
        assert abs(still(page) - before).mean() < 1, key


def test_a_narrow_dark_screen(chromium: Any, server: str) -> None:
    page = opened(chromium, server, color_scheme="dark").page
    page.set_viewport_size({"width": 390, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator("#list")).to_be_hidden()
    page.click("#show-files")
    open_file(page, "case_1.svs")
    expect(page.locator("#list")).to_be_hidden()
    for each in ("#viewer", "#question", "#send"):
        assert page.locator(each).bounding_box()["width"] > 40, each
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 28)"
    page.context.close()


def test_nothing_left_the_server(browser: Browser, server: str) -> None:
    """Last: all that the page did until here."""
    httpx = pytest.importorskip("httpx")
    assert browser.elsewhere == []
    told = [text for text in browser.said if "status of 400" not in text]  # refusals, which the browser logs too
    assert told == []
    policy = httpx.get(server).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_questions_are_answered_where_the_viewer_is_not_there(
    chromium: Any, viewed: Viewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathplugins.commands.serve.page.has_viewer", lambda: False)
    with serving(viewed.state, lifespan="off") as address:
        page = chromium.new_page()
        page.route("**/openseadragon.min.js", lambda route: route.fulfill(status=404))
        page.goto(address)
        open_file(page, "alone.h5")
        expect(page.locator("#empty")).to_contain_text(f"The slide viewer is not installed: run `{HOW}` on the server.")
        page.fill("#question", "What does this slide show?")
        page.press("#question", "Enter")
        expect(page.locator(".after")).to_have_count(1)
        page.close()


def test_a_key_is_asked_for_in_the_page(chromium: Any, viewed: Viewed) -> None:
    with serving(replace(viewed.state, api_key="s3cret"), lifespan="off") as address:  # the engine goes on
        page = chromium.new_page()
        page.goto(address)
        page.fill("#key-text", "wrong")
        page.press("#key-text", "Enter")
        expect(page.locator("#key-wrong")).to_be_visible()
        page.fill("#key-text", "s3cret")
        page.press("#key-text", "Enter")
        open_file(page, "case_1.svs")
        until_pixels(page, lambda seen: stained(seen) > 0.15)  # tiles bring the key too
        page.close()
