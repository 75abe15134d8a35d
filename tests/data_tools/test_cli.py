from collections.abc import Callable

import pytest

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]
RANDOM = ("--encoder", "test_vit", "--random-weights", 0, "--device", "cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("patch", "nowhere.svs", "--out", "out"), "no such file or folder"),
        (("patch", "nowhere.svs", "--out", "out", "--overlap", 300), "--overlap must be in"),
        (("patch", "nowhere.svs", "--out", "out", "--magnification", 0), "--magnification must be above 0"),
        (("features", "nowhere", "--encoder", "test_vit"), "run pathdata patch"),
        (("demo-slide", "s.svs", "--kind", 7), "--kind 7"),
    ],
)
def test_misuse_is_one_line(pathdata: Pathdata, arguments: tuple[object, ...], message: str) -> None:
    code, said = pathdata(*arguments)
    assert code == 2
    assert message in said
    assert len(said.splitlines()) == 1


def test_encoders_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from pathplugins.data_tools.cli import main

    assert main(["encoders"]) == 0
    assert "gigapath" in capsys.readouterr().out
