from pathlib import Path

import pytest

from pathplugins.core.errors import CheckpointError
from pathplugins.data_tools.weights import load_weights

torch = pytest.importorskip("torch")


def encoder() -> "torch.nn.Module":
    return torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))


def save(path: Path, prefix: str = "", *, drop: tuple[str, ...] = (), **more: "torch.Tensor") -> dict:
    weights = {k: torch.rand_like(v.float()) for k, v in encoder().state_dict().items() if k not in drop}
    content = {f"{prefix}{key}": value for key, value in weights.items()}
    torch.save({"epoch": 3, "state_dict": {**content, **more}}, path)
    return weights


@pytest.mark.parametrize(
    ("prefix", "more", "left_out"),
    [
        ("", {}, 0),
        ("", {"head.weight": torch.zeros(2, 5), "fc.bias": torch.zeros(2)}, 2),
        ("module.backbone.", {"module.head.mlp.0.weight": torch.zeros(4, 5), "queue": torch.zeros(9)}, 2),
    ],
)
def test_encoder_is_found_and_heads_are_dropped(tmp_path: Path, prefix: str, more: dict, left_out: int) -> None:
    weights = save(tmp_path / "w.pth", prefix, **more)
    model = encoder()
    assert load_weights(model, tmp_path / "w.pth") == left_out
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, weights[key]), key


def test_counters_may_be_absent(tmp_path: Path) -> None:
    save(tmp_path / "w.pth", drop=("1.num_batches_tracked",))
    assert load_weights(encoder(), tmp_path / "w.pth") == 0


def test_partial_or_other_weights_are_refused_with_counts(tmp_path: Path) -> None:
    save(tmp_path / "part.pth", drop=("0.bias", "1.weight"))
    with pytest.raises(CheckpointError, match=r"7 weights it has 5, lacks 2 \(0\.bias, 1\.weight\)"):
        load_weights(encoder(), tmp_path / "part.pth")
    save(tmp_path / "more.pth", **{"2.weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match=r"has 1 the encoder does not know \(2\.weight\)"):
        load_weights(encoder(), tmp_path / "more.pth")
    save(tmp_path / "shape.pth", drop=("0.bias",), **{"0.bias": torch.zeros(4)})
    model = encoder()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"it has 6.*1 of another shape \(0\.bias\)"):
        load_weights(model, tmp_path / "shape.pth")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_only_weights_are_unpickled(tmp_path: Path) -> None:
    torch.save({"state_dict": {"0.bias": torch.zeros(5)}, "args": Path("x")}, tmp_path / "objects.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "objects.pth").read_bytes()[:200])
    torch.save([1, 2], tmp_path / "list.pth")
    for name, message in (
        ("objects", "not weights alone"),
        ("cut", "not weights alone"),
        ("list", "no weights by name"),
        ("absent", "no such file"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_weights(encoder(), tmp_path / f"{name}.pth")
