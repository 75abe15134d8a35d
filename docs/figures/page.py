"""Take the picture of the page of ``pathplugins serve`` with what ``make demo`` left behind, in Chromium.

Run: python docs/figures/page.py demo --out docs/figures/page.png
"""

from __future__ import annotations

import argparse
import io
import shutil
import threading
import time
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from pathplugins.commands.demo.wsi import QUESTION
from pathplugins.commands.loading import load_model
from pathplugins.commands.serve.app import app
from pathplugins.commands.serve.engine import Engine
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.state import ServerState
from pathplugins.encoders.slide_options import SlideOptions

SIZE, COLOURS = {"width": 1280, "height": 720}, 256
SLIDE = "val_1.svs"


def main() -> None:
    """Serve the model of the demo, use the page as a person would, and write what is then seen."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    model = load_model(args.demo / "merged", device="cpu")
    roots = Roots([args.demo / "slides", args.demo / "work" / "bags"])
    options = SlideOptions(encoder="convnext_atto", random_weights=0)
    state = ServerState(model=model, roots=roots, slides=options, engine=Engine(model))
    server = uvicorn.Server(uvicorn.Config(app(state), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        png = picture(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/", dark=args.dark)
    finally:
        server.should_exit = True
        thread.join()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(args.out, optimize=True)


def picture(address: str, *, dark: bool) -> bytes:
    """Return the page with a slide, its layers, and a question whose answer shows where it looked, PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport=SIZE, color_scheme="dark" if dark else "light")
        page.goto(address)
        page.locator("#list button", has_text=SLIDE).first.click()
        expect(page.locator("#about")).not_to_be_empty()
        page.fill("#question", QUESTION)
        page.press("#question", "Enter")
        page.wait_for_selector(".after button", timeout=120_000)
        page.click("[data-layer=tissue]")
        page.click(".after button")
        page.wait_for_selector(".told button")
        page.locator(".told button").last.click()
        expect(page.locator("#legend")).to_contain_text("“")
        page.wait_for_timeout(2000)  # the last tiles
        png = page.screenshot(caret="initial")
        browser.close()
    return png


if __name__ == "__main__":
    main()
