"""Demo slides shared by the tests of the data tools."""

from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def slides_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.svs`` and ``b.svs``: 0.5 um/px, odd sizes, different tissue."""
    from pathplugins.data_tools.demo_slide import write_demo_slide

    folder = tmp_path_factory.mktemp("slides")
    write_demo_slide(folder / "a.svs", (1411, 1003), seed=1, kind=0)
    write_demo_slide(folder / "b.svs", (1203, 1509), seed=2, kind=1)
    return folder


@pytest.fixture(scope="session")
def sharp_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 40x slide: 0.25 um/px, levels 1, 4 and 16."""
    from pathplugins.data_tools.demo_slide import write_demo_slide

    path = tmp_path_factory.mktemp("sharp") / "sharp.svs"
    write_demo_slide(path, (1537, 1157), seed=3, kind=1, mpp=0.25, magnification=40)
    return path


@pytest.fixture
def real_slide() -> Path:
    """A region of a real Aperio slide, where the test data are there."""
    path = REPOSITORY.parent / "shared" / "data" / "CMU-1-Small-Region.svs"
    if not path.is_file():
        pytest.skip(f"no real slide at {path}")
    return path


@pytest.fixture
def pathdata(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command line in this process: ``pathdata(*arguments) -> (exit code, stderr)``."""
    from pathplugins.data_tools.cli import main

    def run(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, capfd.readouterr().err

    return run
