"""The pages: generated blocks are up to date, links lead somewhere, and every file and function they name exists."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import pytest

from pathplugins import __version__

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def load(path: Path) -> ModuleType:
    """A file that is on no import path, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load(ROOT / "docs" / "generate.py")
hooks = load(ROOT / "docs" / "hooks.py")
edges = load(ROOT / "tests" / "test_architecture.py")


def test_a_block_becomes_the_output_of_its_command_and_nothing_else_changes() -> None:
    page = "before\n<!-- begin: pathplugins --version -->\nold\n<!-- end -->\nafter\n"
    block = f"```text\npathplugins {__version__}\n```\n"
    new = generate.renewed(page)
    assert new == f"before\n<!-- begin: pathplugins --version -->\n{block}<!-- end -->\nafter\n"
    assert generate.renewed(new) == new


def test_only_our_own_commands_are_run() -> None:
    with pytest.raises(ValueError, match="names 'rm'; it must start with one of pathplugins, pathdata, table systems"):
        generate.renewed("<!-- begin: rm -r x -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match="names 'table'; it must start with"):
        generate.renewed("<!-- begin: table nobody -->\n<!-- end -->\n")


def test_a_command_that_prints_nothing_is_no_block(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="printed nothing"):  # the progress of a command is not what it prints
        generate.output_of(f"pathdata demo-slide {tmp_path / 'x.svs'} --size 512x512")


def test_pages_are_up_to_date(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    assert generate.main() == 0, capsys.readouterr().out


def without_code(text: str) -> str:
    """A page without its code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(page: Path) -> set[str]:
    """What GitHub and MkDocs call the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings)
    return {re.sub(r"[ -]+", "-", word) for word in words}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead to no file or to no heading."""
    text = without_code(page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    wrong = []
    for target in (target for target in targets if not re.match(r"\w+:", target)):
        name, _, anchor = target.partition("#")
        file = page if not name else (page.parent / name).resolve()
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](#one-two) [b](#three) [c](no.md) [d](page.md#one-two) [e](https://x.org/y)\n")
    assert broken_links(page) == ["#three", "no.md"]


TOPS = (
    "pathplugins",
    "data_tools",
    "llamafactory_configs",
    "xtuner_configs",
    "tests",
    "docs",
    "benchmarks",
    "constraints",
)
NAMED = re.compile(rf"`((?:{'|'.join(TOPS)})/[^`\s:]*)(?::([\w.]+))?`")


def written_out(path: str) -> list[str]:
    """``a/{b,c}.py`` as ``a/b.py`` and ``a/c.py``."""
    choices = [part[1:-1].split(",") if part[:1] == "{" else [part] for part in re.split(r"(\{[^}]*\})", path)]
    return ["".join(parts) for parts in itertools.product(*choices)]


def defined(file: Path) -> set[str]:
    """Names of the functions, classes, methods and constants of a module."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            inner = node.body if isinstance(node, ast.ClassDef) else []
            found |= {f"{node.name}.{item.name}" for item in inner if isinstance(item, ast.FunctionDef)}
    return found


def missing(text: str) -> list[str]:
    """Files and functions that a page names and that do not exist."""
    wrong = []
    for path, name in NAMED.findall(text):
        for each in written_out(path):
            if not list(ROOT.glob(each.rstrip("/"))):
                wrong.append(each)
            elif name and name not in defined(ROOT / each):
                wrong.append(f"{each}:{name}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_functions_that_a_page_names_exist(page: Path) -> None:
    if page.name != "CHANGELOG.md":  # tells of earlier versions
        assert missing(page.read_text(encoding="utf-8")) == []


def test_a_missing_file_or_function_is_seen() -> None:
    text = (
        "`docs/generate.py:renewed` `docs/generate.py:no` `tests/{core,nowhere}` `pathplugins/no.py` `data_tools/*.py`"
    )
    assert missing(text) == ["docs/generate.py:no", "tests/nowhere", "pathplugins/no.py"]
    assert missing("`pathplugins/bootstrap.py:Finder.apply` `pathplugins/bootstrap.py:ADAPTERS`") == []


def test_the_page_on_architecture_names_modules_and_functions() -> None:
    assert len(NAMED.findall(ARCHITECTURE)) >= 40


def drawn() -> dict[str, set[str]]:
    """Package -> packages it may import, directly or not, by the first diagram of the page."""
    diagram = re.search(r"```mermaid\ngraph TD\n(.*?)```", ARCHITECTURE, re.DOTALL)
    assert diagram is not None
    may: dict[str, set[str]] = {}
    for one, other in re.findall(r"^\s*(\w+)(?:\[.*\])? --> (\w+)", diagram[1], re.MULTILINE):
        may.setdefault(one, set()).add(other)
    for _ in may:
        may = {one: others.union(*(may.get(other, set()) for other in others)) for one, others in may.items()}
    return may


def test_the_drawn_edges_are_allowed() -> None:
    may = drawn()
    assert set(may) == set(edges.LAYERS) - {"core"}
    wrong = [(one, other) for one, others in may.items() for other in others]
    assert [edge for edge in wrong if edges.LAYERS[edge[1]] >= edges.LAYERS[edge[0]]] == []
    assert "models" not in may["data_tools"]


def test_every_import_is_drawn() -> None:
    may, undrawn = drawn(), []
    for path in edges.SOURCES:
        one = edges.part_of(path)
        for _, module, level in edges.imports(path):
            other = module.split(".")[1] if not level and module.startswith("pathplugins.") else one
            if one and other in edges.LAYERS and other != one and other not in may.get(one, set()):
                undrawn.append(f"{path.relative_to(ROOT)} imports {module}")
    assert undrawn == []


def test_the_figure_is_small_and_as_wide_as_a_page_on_a_sharp_screen() -> None:
    from PIL import Image

    figure = ROOT / "docs" / "figures" / "demo.png"
    assert figure.stat().st_size < 300_000
    with Image.open(figure) as image:
        assert image.width >= 1600


def test_the_picture_of_the_page_is_small() -> None:
    assert (ROOT / "docs" / "figures" / "page.png").stat().st_size < 200_000


def test_the_figure_is_drawn_of_what_was_seen() -> None:
    pytest.importorskip("matplotlib")
    import numpy as np

    demo = load(ROOT / "docs" / "figures" / "demo.py")
    rng = np.random.default_rng(0)
    corners = np.array([(0.1, 0.2), (0.3, 0.2), (0.5, 0.6)])
    seen = demo.Seen(
        picture=rng.integers(0, 256, (384, 512, 3), np.uint8),
        overlay=rng.integers(0, 256, (384, 512, 3), np.uint8),
        patches=rng.integers(0, 256, (12, 96, 96, 3), np.uint8),
        corners=corners,
        side=(0.2, 0.3),
        features=rng.normal(size=(3, 7)),
        tokens=rng.normal(size=(4, 5)),
        kept=np.array([0, 2]),
        embeds=rng.normal(size=(3, 6)),
        selector="random_sample",
        size_px0=(2048, 1536),
        mpp=0.5,
        question="What does this slide show?",
        answer="Nothing.",
    )
    texts = [text.get_text() for axes in demo.draw(seen).axes for text in axes.texts]
    assert {"3 patches of 256 px", "features 3 x 7, coordinates", "random_sample: 2 of 3", "Nothing."} <= set(texts)
    assert "3 tokens of width 6" in texts


@pytest.mark.parametrize(
    ("folder", "link", "wanted"),
    [
        ("docs", "[a](data.md#bags)", "[a](data.md#bags)"),
        ("docs", "[a](../CONTRIBUTING.md#style)", "[a](contributing.md#style)"),
        ("docs", "[a](#bags)", "[a](#bags)"),
        ("docs", "[a](https://x.org/docs/y.md)", "[a](https://x.org/docs/y.md)"),
        ("docs", "[the prompt](../data_tools/prompts/x.yaml)", "the prompt"),
        (".", "[a](docs/data.md) [b](CHANGELOG.md) [c](LICENSE)", "[a](data.md) [b](changelog.md) c"),
        (".", '<img src="docs/figures/demo.png">', '<img src="figures/demo.png">'),
    ],
)
def test_links_of_a_page_are_made_to_fit_the_site(folder: str, link: str, wanted: str) -> None:
    assert hooks.for_the_site(link, PurePosixPath(folder)) == wanted


def test_every_page_has_a_place_on_the_site() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nhooks:")[0]
    nav = set(re.findall(r"^  - .+: (\S+\.md)$", text, re.MULTILINE))
    assert nav == {page.name for page in ROOT.glob("docs/*.md")} | set(hooks.OUTSIDE.values())


def first_column(page: str, head: str) -> list[str]:
    """Code in the first column of the table of a page that has ``head`` in its first line."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = text.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return [re.findall(r"`([^`]+)`", row.split("|")[1])[0] for row in rows]


def ours(registry: Any) -> list[str]:
    """Names of our own parts, in order; packages beside us may add theirs."""
    return [name for name in registry if registry.owner(name) == "pathplugins"]


def test_tables_typed_by_hand_name_what_the_registries_hold() -> None:
    from pathplugins.data.formats import FORMATS
    from pathplugins.models.selectors import SELECTORS

    assert sorted(first_column("data.md", "| `formatting` (LLaMA-Factory)")) == ours(FORMATS)
    assert sorted(first_column("token_selection.md", "| mode | keeps |")) == ours(SELECTORS)


def test_the_citation_is_of_this_version() -> None:
    import yaml

    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert told["version"] == __version__
    assert {"cff-version", "message", "title", "authors", "license"} <= told.keys()
