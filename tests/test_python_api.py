"""The Python API: the lines that the README shows run, and nothing is imported before it is asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pathplugins

ROOT = Path(pathplugins.__file__).resolve().parent.parent
LINES = """
from pathplugins import Slide, ask, draw_selection, load_model, read_bag

with Slide("slides/slide_1.svs") as slide:
    print(slide.size_px0, slide.thumbnail((512, 384)).shape)  # (w, h) in level-0 pixels; uint8 [384, 512, 3]
bag = read_bag("tiles/bags/slide_1.h5")
print(bag.features.shape, bag.coords_xy[:3])  # [N, D] as stored; (x, y) in pixels at 0.5 microns per pixel
model = load_model("saves/wsi_llava/merged")
print(ask(model, "What is the diagnosis?", bag="tiles/bags/slide_1.h5"))
drawn = draw_selection(model, "tiles/bags/slide_1.h5", "selection.png", slide="slides/slide_1.svs")
print(f"kept {drawn.kept} of {drawn.read} patches: {drawn.picture} and {drawn.geojson}")
"""
"""README.md and docs/python.md show these."""


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_pages_show_them(page: str) -> None:
    assert LINES.strip() in (ROOT / page).read_text(encoding="utf-8")


def test_the_lines_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("openslide")
    transformers = pytest.importorskip("transformers")
    from pathplugins.data.bags import BagAttributes, write_bag
    from pathplugins.data_tools.slides.demo import write_demo_slide
    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.spec import ComposeSpec
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    monkeypatch.chdir(tmp_path)
    (tmp_path / "slides").mkdir()
    write_demo_slide(tmp_path / "slides" / "slide_1.svs", (1536, 1280), kind=1)
    corners_yx = np.array([(0, 256), (256, 512), (768, 1024), (1024, 0)])
    about = BagAttributes(
        slide_id="slide_1",
        encoder="none",
        patch_size=256,
        patch_size_level0=256,
        mpp=0.5,
        level0_mpp=0.5,
        level0_width=1536,
        level0_height=1280,
    )
    features = np.random.default_rng(1).standard_normal((4, 9)).astype(np.float32)
    write_bag(tmp_path / "tiles" / "bags" / "slide_1.h5", [features], corners_yx, about)
    llm = build_tiny_llm(tmp_path / "llm", ["What is the diagnosis?"], tied=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": 9, "embed_dim": 24, "depth": 1, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
    spec = ComposeSpec(llm=str(llm), vision_config=tower, random_vision_seed=0, image_seq_length=3, patches_per_wsi=2)
    compose(spec, tmp_path / "saves" / "wsi_llava" / "merged")
    assert len(LINES.strip().splitlines()) <= 11
    capsys.readouterr()
    exec(compile(LINES, "README.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "(1536, 1280) (384, 512, 3)"
    assert told[1] == "(4, 9) [[ 256    0]"
    assert told[4].strip(), told
    assert told[-1] == "kept 3 of 4 patches: selection.png and selection.geojson"
    assert (tmp_path / "selection.png").stat().st_size > 1000


def test_the_names_are_listed_documented_and_typed() -> None:
    assert set(pathplugins.__all__) <= set(dir(pathplugins))
    for name in pathplugins.__all__:
        found: Callable[..., object] = getattr(pathplugins, name)
        assert found.__name__ == name
        assert len(inspect.getdoc(found) or "") > 40, name
        function = found.__init__ if inspect.isclass(found) else found
        signature = inspect.signature(function)
        assert all(p.annotation is not p.empty for p in signature.parameters.values() if p.name != "self"), name
        assert signature.return_annotation is not inspect.Signature.empty, name


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'load_modle'; it has Slide, ask, draw_selection"):
        pathplugins.load_modle  # noqa: B018
    with pytest.raises(ImportError, match="load_modle"):
        exec("from pathplugins import load_modle")


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules)\n"
        "import pathplugins\n"
        "dir(pathplugins)\n"
        "print(sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "['pathplugins']", run.stderr
