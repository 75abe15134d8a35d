"""What the page draws over a file is what the commands find: tissue, patches, kept tokens, attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image
from talking_models import LLAMA
from viewed_files import ODD, Viewed, serving

from pathplugins.commands.loading import load_model
from pathplugins.commands.serve.engine import Engine
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.serve.viewer import has_viewer
from pathplugins.encoders.slide_options import SlideOptions
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm

pytest.importorskip("openslide")
pytest.importorskip("timm")
httpx = pytest.importorskip("httpx")
JSON = {"Content-Type": "application/json"}
ASKED = [{"role": "user", "content": "What does this slide show?"}]


@pytest.fixture(scope="module")
def client(server: str) -> Any:
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client


def told(reply: Any) -> Any:
    assert reply.status_code == 200, reply.text
    return reply.json()


def refused(reply: Any, status: int) -> str:
    assert reply.status_code == status, reply.text
    return reply.json()["error"]["message"]


def test_the_list_of_files(client: Any, viewed: Viewed) -> None:
    about = told(client.get("view/about"))
    assert (about["model"], about["reads"]) == ("hf_model", "bags")
    assert (about["viewer"] is None) == has_viewer(), about["viewer"]
    found = {file["name"]: file["kind"] for file in about["files"]}
    slides = {f"files/slides/{name}": "slide" for name in ("case_1.svs", "case_2.svs", "cut_off.svs", ODD)}
    assert found == slides | {"files/bags/case_1.h5": "bag", "files/bags/alone.h5": "bag", "files/patch.png": "image"}


def test_how_each_file_is_shown(client: Any) -> None:
    def shown(file: str) -> Any:
        return told(client.get("view/open", params={"file": f"files/{file}"}))

    slide, bag, alone, image = map(shown, ("slides/case_1.svs", "bags/case_1.h5", "bags/alone.h5", "patch.png"))
    assert (slide["kind"], slide["size"], slide["mpp"], slide["on"]) == ("slide", [1536, 1280], 0.5, None)
    assert (bag["kind"], bag["size"], bag["on"]) == ("bag", [1536, 1280], "files/slides/case_1.svs")
    assert bag["tiles"]["url"] == slide["tiles"]["url"]
    assert (alone["kind"], alone["size"], alone["tiles"], alone["mpp"]) == ("bag", [1536, 1280], None, 0.5)
    assert (image["kind"], image["size"], image["tiles"]) == ("image", [90, 60], None)
    assert client.get(image["image"]).content.startswith(b"\xff\xd8")
    odd = shown(f"slides/{ODD}")
    tile = client.get(odd["tiles"]["url"] + "&level=11&column=0&row=0")
    assert tile.content == client.get(slide["tiles"]["url"] + "&level=11&column=0&row=0").content
    assert "max-age" in tile.headers["cache-control"]


def test_a_slide_has_patches_once_it_was_asked_about(client: Any, viewed: Viewed) -> None:
    from pathplugins.commands.selection import choose, locate
    from pathplugins.commands.slide_bags import made_bag

    file, reader = "files/slides/case_2.svs", viewed.state.model.processor.image_processor  # type: ignore[attr-defined]
    why = refused(client.get("view/patches", params={"file": file}), 400)
    assert why == f"{file}: its patches are cut and encoded when the first question is asked; ask one"
    content = [{"type": "image_url", "image_url": {"url": file}}, {"type": "text", "text": ASKED[0]["content"]}]
    asked = {"messages": [{"role": "user", "content": content}], "max_tokens": 6}
    told(client.post("v1/chat/completions", json=asked))
    patches = told(client.get("view/patches", params={"file": file}))
    made: Any = made_bag(viewed.root / "slides" / "case_2.svs", reader, viewed.state.slides)
    bag, place = made.bag, locate(made.bag, None)
    assert np.array_equal(np.reshape(patches["xy"], (-1, 2)), place.coords_xy)
    assert patches["size"] == 256
    assert told(client.get("view/patches", params={"file": "files/bags/alone.h5"})) == patches

    kept = told(client.post("view/kept", json={"file": file}))
    chosen = choose(viewed.state.model, bag, patches=reader.patches_per_wsi)
    right = place.coords_xy[chosen.rows[chosen.kept]]
    assert [[*xy, 256, 256] for xy in right.tolist()] == kept["boxes"]
    assert (kept["read"], kept["selector"]) == (len(chosen.rows), "random_sample")

    request = {"file": file, "messages": ASKED, "answer": "It shows a slide"}
    whole, second = (told(client.post("view/why", json={**request, "word": word})) for word in (None, 1))
    assert whole["words"] == ["It", "shows", "a", "slide"]
    assert whole["boxes"] == kept["boxes"]
    assert second["levels"] != whole["levels"]
    assert 0 < whole["elsewhere"] < 1
    assert "the answer has" in refused(client.post("view/why", json={**request, "word": 99}), 400)
    assert "the language model reads" in refused(client.post("view/why", json={**request, "answer": "It " * 4000}), 400)
    half = client.post(
        "view/why", content=b'{"file": "files/patch.png", "messages": [], "answer": "\\ud800"}', headers=JSON
    )
    assert "expected a text" in refused(half, 400)


def test_requests_that_are_none(client: Any) -> None:
    assert refused(client.get("view/open"), 400) == "/view/open: file: Field required"
    assert refused(client.get("view/tile?file=a&level=x&column=0&row=0"), 400).startswith("/view/tile: level: Input")
    assert refused(client.post("view/kept", content=b"{"), 400).startswith("/view/kept: ")
    for sent in (b'{"file": "\\ud800"}', b'{"file": 5}'):
        assert "expected a text" in refused(client.post("view/kept", content=sent, headers=JSON), 400)
    assert client.head("").status_code == 200


def test_where_an_answer_looked_is_what_the_model_attended_to(client: Any, viewed: Viewed) -> None:
    from pathplugins.commands.answering import open_file
    from pathplugins.commands.explaining import explain
    from pathplugins.commands.prompting import conversation

    model, bag = viewed.state.model, viewed.root / "bags" / "case_1.h5"
    request = {"file": "files/bags/case_1.h5", "messages": ASKED, "answer": "It shows a slide", "word": 2}
    heat = told(client.post("view/why", json=request))
    prompt = conversation(model.processor.tokenizer, ASKED[0]["content"])  # type: ignore[attr-defined]
    right = explain(model, open_file(model, bag), prompt, "It shows a slide")
    weights = right.weights[2][[box is not None for box in right.patches]]
    low, high = weights.min(), weights.max()
    assert heat["words"] == ["It", "shows", "a", "slide"]
    assert (heat["low"], heat["high"]) == pytest.approx((low, high), rel=1e-3)
    assert heat["levels"] == pytest.approx((weights - low) / (high - low), abs=2e-3)


def test_tissue_is_where_the_slide_is_stained(client: Any) -> None:
    outlines = [told(client.get("view/tissue", params={"file": f"files/{file}"}))["polygons"]
                for file in ("slides/case_1.svs", "bags/case_1.h5")]  # fmt: skip
    assert outlines[0] == outlines[1]
    points = np.concatenate([np.array(ring) for polygon in outlines[0] for ring in polygon])
    assert (points.min(0) >= 0).all()
    assert (points.max(0) <= (1536, 1280)).all()
    assert np.ptp(points, axis=0).min() > 600


def test_what_is_wrong_is_told_without_the_folders_of_the_server(client: Any, viewed: Viewed) -> None:
    def opening(file: str) -> Any:
        return client.get("view/open", params={"file": file})

    said = refused(opening("files/slides/cut_off.svs"), 400)
    assert said.startswith("files/slides/cut_off.svs: it was cut off")
    for reply, status in (
        (opening("../../etc/passwd"), 403),
        (client.get("view/tile", params={"file": "/etc/passwd", "level": 0, "column": 0, "row": 0}), 403),
        (client.get("view/image", params={"file": "files/%2e%2e/x.png"}), 403),
        (client.post("view/why", json={"file": "/etc/passwd", "messages": ASKED, "answer": "x"}), 403),
        (opening("files/slides/nothing.svs"), 404),
        (client.get("view/tissue", params={"file": "files/patch.png"}), 400),
        (client.get("view/tissue", params={"file": "files/bags/alone.h5"}), 400),
        (client.get("view/image", params={"file": "files/bags/alone.h5"}), 400),
        (client.post("view/why", json={"file": "files/bags/alone.h5", "messages": "x", "answer": "x"}), 400),
        (client.post("view/why", json={"file": "files/bags/alone.h5", "messages": ASKED, "answer": " "}), 400),
        (client.post("view/kept", json={"messages": ASKED}), 400),
    ):
        assert str(viewed.root.parent) not in refused(reply, status), reply.text


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a server whose model reads images, and an image of 90 x 60 px."""
    root = tmp_path_factory.mktemp("of_images")
    llm = build_tiny_llm(root / "llm", [ASKED[0]["content"]], tied=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = LLAMA
    tokenizer.save_pretrained(llm)
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    spec = ComposeSpec(
        llm=str(llm),
        vision_model_name="clip",
        vision_config={**sizes, "image_size": 20, "patch_size": 4},
        random_vision_seed=0,
        mm_projector_type="mlp2x_gelu",
        image_aspect_ratio="pad",
    )
    model = load_model(compose(spec, root / "vlm"), device="cpu")
    (root / "files").mkdir()
    Image.linear_gradient("L").resize((90, 60)).convert("RGB").save(root / "files" / "patch.png")
    state = ServerState(
        model=model, roots=Roots([root / "files"]), slides=SlideOptions(), engine=Engine(model), max_new_tokens=4
    )
    with serving(state) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def test_tokens_of_an_image_lie_on_the_image(of_images: Any) -> None:
    """5 x 5 tokens of the image padded to 90 x 90: the first and the last row are padding to two thirds and more."""
    kept = told(of_images.post("view/kept", json={"file": "files/patch.png"}))
    boxes = np.array(kept["boxes"])
    assert kept["read"] is None
    assert len(boxes) == 25
    assert boxes[0].tolist() == [0, 0, 18, 3]
    assert boxes[-1].tolist() == [72, 57, 18, 3]
    assert (boxes[:, 2] * boxes[:, 3]).sum() == 90 * 60
    request = {"file": "files/patch.png", "messages": ASKED, "answer": "What does this"}
    heat = told(of_images.post("view/why", json=request))
    assert heat["boxes"] == kept["boxes"]
    assert len(heat["levels"]) == 25
    assert heat["elsewhere"] == pytest.approx(0, abs=1e-5)
    assert told(of_images.get("view/about"))["reads"] == "images"
