"""The imports point one way, also those inside functions."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for top in ("pathplugins", "data_tools") for path in (ROOT / top).rglob("*.py"))

LAYERS = {
    **{"core": 0, "published": 1, "weights": 1, "data": 2, "encoders": 2, "models": 3},
    **{"llamafactory": 4, "xtuner": 4, "classify": 4, "data_tools": 4, "commands": 5},
}
"""A part may import itself and what lies lower. Modules beside them (cli, bootstrap, ...) lie above all."""
TRAINERS = ("llamafactory", "xtuner", "mmengine")

DATA_TOOLS = {
    "engine": "",
    "slides": "",
    "tissue": "engine slides",
    "pictures": "slides tissue",
    "bags": "engine slides",
    "tiling": "bags engine pictures slides tissue",
    "encoders": "engine slides tiling",
    "clip": "encoders",
    "records": "engine",
    "splits": "bags",
    "cleaning": "engine records splits",
    "tables": "bags splits",
    "slide_images": "engine pictures records slides splits tables tiling",
    "patchtcga": "engine",
    "pathgen": "clip encoders engine pictures records slides tiling tissue",
    "captioning": "engine",
    "commands": (
        "bags captioning cleaning clip encoders engine patchtcga pathgen pictures records slide_images slides splits "
        "tables tiling tissue"
    ),
    "cli": "commands engine",
    "__main__": "cli",
}
"""Package of data_tools -> what it may import beside itself, in reading order: nothing imports what comes later."""


def part_of(path: Path) -> str:
    """``data_tools``, a folder of pathplugins, or ``""`` for a module that lies directly in pathplugins."""
    top, *rest = path.relative_to(ROOT).parts
    return top if top == "data_tools" else rest[0] if len(rest) > 1 else ""


def imports(path: Path) -> list[tuple[int, str, int]]:
    """(line, absolute module, level of a relative import) of every import statement, at any depth."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            found.append((node.lineno, base, node.level))
            if base == "pathplugins":  # `from pathplugins import data` names a part
                found += [(node.lineno, f"{base}.{alias.name}", node.level) for alias in node.names]
    return found


def complaint(path: Path, module: str, level: int) -> str | None:
    part, top = part_of(path), module.partition(".")[0]
    if level and part != "data_tools":
        return "relative imports are for data_tools alone"
    if level:
        return None
    if top == "data_tools" or module.startswith("pathplugins.data_tools"):
        return (
            "data_tools is imported relatively inside, and by nobody outside" if part not in ("", "commands") else None
        )
    if top in TRAINERS and part != {"mmengine": "xtuner"}.get(top, top):
        return f"only pathplugins/{top} may import {top}"
    if part == "core" and top not in sys.stdlib_module_names | {"pathplugins"}:
        return "core is standard library only"
    target = module.split(".")[1] if module.startswith("pathplugins.") else ""
    if target not in LAYERS or not part or target == part:
        return None
    if part == "data_tools" and target == "models":
        return "data_tools imports data and core"
    return None if LAYERS[target] < LAYERS[part] else f"{part} may not import {target}"


def test_sources_were_found() -> None:
    assert len(SOURCES) >= 40
    assert {part_of(path) for path in SOURCES} >= {"", "core", "data", "models", "llamafactory", "data_tools"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    found = [(line, module, complaint(path, module, level)) for line, module, level in imports(path)]
    assert [f"{path.name}:{line} imports {module}: {why}" for line, module, why in found if why] == []


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("pathplugins/core/x.py", "torch"),
        ("pathplugins/core/x.py", "pathplugins.data.bags"),
        ("pathplugins/data/x.py", "pathplugins.models.towers"),
        ("pathplugins/models/x.py", "llamafactory.data"),
        ("pathplugins/data/x.py", "pathplugins.llamafactory.register"),
        ("pathplugins/llamafactory/x.py", "xtuner.model"),
        ("pathplugins/llamafactory/x.py", "pathplugins.xtuner.model"),
        ("pathplugins/commands/doctor.py", "llamafactory"),
        ("data_tools/x.py", "pathplugins.models.towers"),
        ("data_tools/x.py", "data_tools.grid"),
        ("data_tools/x.py", "llamafactory"),
        ("pathplugins/data/x.py", "pathplugins.data_tools.tiling.grid"),
    ],
)
def test_a_wrong_edge_is_seen(path: str, module: str) -> None:
    assert complaint(ROOT / path, module, 0)


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module; that of a package ends in ``.__init__``."""
    found = {}
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(("pathplugins", *parts) if parts[0] == "data_tools" else parts)] = path
    del found["pathplugins.data_tools"]  # stands in for the folder in a checkout
    return found


def graph(files: dict[str, Path]) -> dict[str, set[str]]:
    """Module -> modules of ours that it imports, at any depth of the file."""

    def module(name: str) -> str | None:
        return next((found for found in (name, f"{name}.__init__") if found in files), None)

    edges: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets: list[str | None] = []
            if isinstance(node, ast.Import):
                targets = [module(alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                around = name.split(".")[: -node.level] if node.level else []
                base = ".".join([*around, *filter(None, [node.module])])
                targets = [module(f"{base}.{alias.name}") or module(base) for alias in node.names]
            edges[name] |= {target for target in targets if target not in (None, name)}
    return edges


FILES = modules()
IMPORTS = graph(FILES)


def within(package: str) -> dict[str, set[str]]:
    """The modules and packages directly in a package -> those of them that they import."""
    inside: dict[str, set[str]] = {}
    depth = package.count(".") + 2
    for one, others in IMPORTS.items():
        if one.startswith(f"{package}."):
            child = ".".join(one.split(".")[:depth])
            found = {".".join(other.split(".")[:depth]) for other in others if other.startswith(f"{package}.")}
            inside.setdefault(child, set()).update(found - {child})
    return inside


def reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    seen, waiting = set(), [start]
    while waiting:
        for other in edges.get(waiting.pop(), set()) - seen:
            seen.add(other)
            waiting.append(other)
    return seen


PACKAGES = sorted({".".join(name.split(".")[:depth]) for name in FILES for depth in range(1, name.count(".") + 1)})


def test_the_packages_of_data_tools_import_what_the_table_says() -> None:
    inside = {one.rpartition(".")[2]: others for one, others in within("pathplugins.data_tools").items()}
    used = {one: {other.rpartition(".")[2] for other in others} for one, others in inside.items()}
    assert used.pop("__init__") == set()
    assert used.keys() == DATA_TOOLS.keys()
    more = {one: sorted(used[one] - {*may.split()}) for one, may in DATA_TOOLS.items()}
    assert {one: others for one, others in more.items() if others} == {}
    order = list(DATA_TOOLS)
    assert [(one, may) for one, may in DATA_TOOLS.items() if not {*may.split()} <= {*order[: order.index(one)]}] == []


def test_the_order_of_data_tools_is_told_at_its_door() -> None:
    """``data_tools/__init__.py`` names every package, in the order of the table."""
    text = (ROOT / "data_tools" / "__init__.py").read_text(encoding="utf-8")
    packages = [name for name in DATA_TOOLS if (ROOT / "data_tools" / name).is_dir()]
    places = [text.find(f"``{name}``") for name in packages]
    assert -1 not in places, packages[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_in_a_package_imports_in_a_circle(package: str) -> None:
    """Neither modules nor the packages beside them; imports inside functions and for type checkers count."""
    edges = within(package)
    edges.pop("pathplugins.__init__", None)  # what it re-exports is imported when somebody asks for it
    assert [name for name in edges if name in reachable(edges, name)] == []


def test_packages_were_found() -> None:
    assert len(PACKAGES) >= 30
    assert {"pathplugins", "pathplugins.data_tools.slides", "pathplugins.models.towers"} <= {*PACKAGES}


def test_the_package_imports_no_torch_and_no_numpy() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r});"
        "import pathplugins, pathplugins.cli, pathplugins.commands.configs, "
        "pathplugins.core.hosts, pathplugins.core.errors;"
        "print([name for name in ('torch', 'numpy', 'transformers', 'h5py') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "[]", run.stderr


NEWER = {
    "typing": "Self Never LiteralString NotRequired Required TypeVarTuple Unpack assert_never assert_type override",
    "enum": "StrEnum ReprEnum EnumType",
    "datetime": "UTC",
    "contextlib": "chdir",
    "hashlib": "file_digest",
    "itertools": "batched",
    "tomllib": "load loads",
}
"""Names that Python 3.10 lacks, which LLaMA-Factory 0.9.3 and XTuner 0.1.23 are used with."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_oldest_python_has_what_is_imported(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
    used = [
        (node.module, alias.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    used += [
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    assert not [f"{module}.{name}" for module, name in used if name in NEWER.get(module, "").split()]


def test_no_init_file_under_tests() -> None:
    """``tests/llamafactory/__init__.py`` would be found as ``import llamafactory``."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []
