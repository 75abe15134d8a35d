"""``pathplugins compose`` from its words to its last line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.cli import main
from pathplugins.core.files import read_json

TOWER = '{"in_chans": 10, "embed_dim": 24, "depth": 1, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}'


def words(llm: Path | str, out: Path, *more: str) -> list[str]:
    return [
        "compose",
        "--llm",
        str(llm),
        "--random-vision-seed",
        "0",
        "--vision-config",
        TOWER,
        "--out",
        str(out),
        *more,
    ]


def test_every_option_reaches_the_directory(
    make_llm: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "--select": "none",
        "--image-seq-length": "5",
        "--patches-per-wsi": "30",
        "--patches-block": "4",
        "--coords-mpp": "0.25",
        "--projector-dropout": "0.2",
        "--gamma-min": "1.2",
        "--gamma-max": "1.8",
        "--gamma-init": "1.3",
        "--seed": "7",
    }
    out = tmp_path / "vlm"
    assert main(words(make_llm(), out, "--prefix-lm", *(word for pair in given.items() for word in pair))) == 0
    config, reading = read_json(out / "config.json"), read_json(out / "preprocessor_config.json")
    projector = {"type": "gamma_mlp", "dropout": 0.2, "scale_min": 1.2, "scale_max": 1.8, "scale_init": 1.3}
    assert config["projector_config"] == projector
    assert (config["vision_feature_select_mode"], config["image_seq_length"]) == ("none", 5)
    assert config["use_prefix_lm_mask"] is True
    assert reading["patches_block"] == 4
    assert (reading["patches_per_wsi"], reading["coords_mpp"], reading["seed"]) == (30, 0.25, 7)
    told = capsys.readouterr().out
    assert f"llm-model.safetensors  -> {(make_llm() / 'model.safetensors').resolve()}" in told
    assert f"{(make_llm() / 'model.safetensors').stat().st_size / 1000:.0f} KB  llm-model" in told
    assert f"pathplugins ask {out} --bag FILE.h5 --question" in told


def test_copies_are_no_links(make_llm: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(make_llm(), tmp_path / "vlm", "--copy")) == 0
    assert "->" not in capsys.readouterr().out
    assert not (tmp_path / "vlm" / "llm-model.safetensors").is_symlink()


def test_a_hub_id_is_fetched(make_llm: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, from a hub cache: what is linked is the blob behind the snapshot's link."""
    repository = tmp_path / "models--meta--tiny"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    for path in make_llm().iterdir():
        (snapshot / path.name).symlink_to(path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert main(words("meta/tiny", tmp_path / "vlm")) == 0
    assert (tmp_path / "vlm" / "llm-model.safetensors").resolve() == (make_llm() / "model.safetensors").resolve()


@pytest.mark.parametrize(
    ("llm", "more", "message"),
    [
        ("absent/model", (), "--llm absent/model is neither a path nor a hub repository that can be fetched"),
        ("not a name!", (), "--llm not a name! is neither a path nor a hub repository"),
        (None, ("--select", "nothing"), "unknown token selector 'nothing'"),
        (None, ("--gamma-min", "3"), "gamma_min must be below gamma_max"),
        (None, ("--projector", "linear", "--gamma-min", "1"), "linear has no option ['scale_min']"),
        (None, ("--vision-tower", "./x.pth"), "--vision-tower: ./x.pth does not exist; correct the path"),
        (None, ("--vision-tower", __file__), "vision_tower: name the weights"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    make_llm: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    llm: str | None,
    more: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert main(words(llm or make_llm(), tmp_path / "vlm", *more)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "vlm").exists()


@pytest.mark.parametrize(("text", "message"), [("{", "not JSON"), ("[1]", "wanted an object such as")])
def test_json_is_read_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    with pytest.raises(SystemExit):
        main([*words("llm", tmp_path / "vlm"), "--vision-config", text])
    assert message in capsys.readouterr().err
