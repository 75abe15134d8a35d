import argparse
from pathlib import Path

import pytest

from pathplugins.core.errors import CheckpointError
from pathplugins.encoders.load_weights import load_weights

torch = pytest.importorskip("torch")


def encoder() -> "torch.nn.Module":
    return torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))


def save(path: Path, prefix: str = "", *, drop: tuple[str, ...] = (), **more: "torch.Tensor") -> dict:
    weights = {k: torch.rand_like(v.float()) for k, v in encoder().state_dict().items() if k not in drop}
    content = {f"{prefix}{key}": value for key, value in weights.items()}
    torch.save({"epoch": 3, "state_dict": {**content, **more}}, path)
    return weights


@pytest.mark.parametrize(
    ("prefix", "more", "said"),
    [
        ("", {}, "7 weights by timm names in 'state_dict', of 7 entries"),
        (
            "",
            {"head.weight": torch.zeros(2, 5), "fc.bias": torch.zeros(2)},
            "7 weights by timm names in 'state_dict', ",
        ),
        (
            "module.backbone.",
            {"module.head.mlp.0.weight": torch.zeros(4, 5), "queue": torch.zeros(9)},
            "7 weights by timm names in 'state_dict', below 'module.backbone.', of 9 entries",
        ),
    ],
)
def test_encoder_is_found_and_heads_are_dropped(tmp_path: Path, prefix: str, more: dict, said: str) -> None:
    weights = save(tmp_path / "w.pth", prefix, **more)
    model = encoder()
    assert str(load_weights(model, tmp_path / "w.pth")).startswith(said)
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, weights[key]), key


def test_counters_may_be_absent(tmp_path: Path) -> None:
    save(tmp_path / "w.pth", drop=("1.num_batches_tracked",))
    assert load_weights(encoder(), tmp_path / "w.pth").loaded == 6


def test_a_slow_copy_is_not_taken_for_the_encoder(tmp_path: Path) -> None:
    for trained, copy in (("module.encoder_q.", "module.encoder_k."), ("net_online.net.", "net_target.net.")):
        wanted = save(tmp_path / "w.pth", trained, **{f"{copy}{k}": v for k, v in encoder().state_dict().items()})
        model = encoder()
        assert load_weights(model, tmp_path / "w.pth").prefix == trained
        assert torch.equal(model.state_dict()["0.weight"], wanted["0.weight"])


def test_two_encoders_are_a_question(tmp_path: Path) -> None:
    save(tmp_path / "w.pth", "left.", **{f"right.{k}": v for k, v in encoder().state_dict().items()})
    with pytest.raises(CheckpointError, match=r"more than once, below 'left\.' and 'right\.'"):
        load_weights(encoder(), tmp_path / "w.pth")


def test_what_a_card_calls_unused_may_be_there(tmp_path: Path) -> None:
    save(tmp_path / "w.pth", **{"layer4.weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="has 1 the encoder does not know"):
        load_weights(encoder(), tmp_path / "w.pth")
    assert load_weights(encoder(), tmp_path / "w.pth", unused=("layer4.",)).loaded == 7


def test_partial_or_other_weights_are_refused_with_counts(tmp_path: Path) -> None:
    save(tmp_path / "part.pth", drop=("0.bias", "1.weight"))
    with pytest.raises(CheckpointError, match=r"7 weights it has 5 \(71%, and all are needed\), lacks 2 \(0\.bias, 1"):
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


def test_python_objects_beside_the_weights_are_neither_built_nor_run(tmp_path: Path) -> None:
    """The options of a run, which DINO, MAE and SimCLR save beside the weights, and whatever else."""

    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    weights = save(tmp_path / "w.pth")
    for args in (argparse.Namespace(arch="resnet50", gpus=[0, 1]), argparse.Namespace(out=Path("runs")), Trap()):
        torch.save({"model": weights, "args": args, "epoch": 3}, tmp_path / "args.pth")
        assert load_weights(encoder(), tmp_path / "args.pth").container == "model"
    assert not (tmp_path / "sprung").exists()


def test_what_holds_no_weights_is_named(tmp_path: Path) -> None:
    """B25: PyTorch's advice to switch its safety off never reaches a user."""
    torch.save({"state_dict": {"0.bias": torch.zeros(5)}}, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:200])
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"epoch": 3, "args": Path("x")}, tmp_path / "none.pth")
    (tmp_path / "lfs.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "page.pth").write_bytes(b"<!doctype html><html>Sign in")
    (tmp_path / "half.safetensors").write_bytes(b"\x90\0\0\0\0\0\0\0{half a download")
    for name, message in (
        ("cut.pth", "not a whole PyTorch file"),
        ("list.pth", "wanted a dictionary of tensors, got a list"),
        ("none.pth", "holds no weights by name"),
        ("absent.pth", "no such file"),
        ("lfs.pth", "a Git LFS pointer, not the weights; run `git lfs pull`"),
        ("page.pth", "an HTML page .*hf auth login"),
        ("half.safetensors", "not a whole safetensors file .*download it again"),
    ):
        with pytest.raises(CheckpointError, match=message) as error:
            load_weights(encoder(), tmp_path / name)
        assert "weights_only" not in str(error.value)


def test_statistics_of_batch_norms_belong_to_the_weights(tmp_path: Path) -> None:
    save(tmp_path / "w.pth", drop=("1.running_mean", "1.running_var", "1.num_batches_tracked"))
    with pytest.raises(CheckpointError, match=r"lacks the running statistics of 1 batch norms \(1\.running_mean, 1\."):
        load_weights(encoder(), tmp_path / "w.pth")
