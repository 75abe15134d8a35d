"""Tensors of torch as features: rows in blocks, padding told, anything else refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import wsi_llava_pt
from pathplugins.data_tools.bags.wsi_llava_pt import open_source, sources


def saved(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_come_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    monkeypatch.setattr(wsi_llava_pt, "_BLOCK_ROWS", 4)
    values = (torch.arange(33).reshape(11, 3) / 8).to(dtype)
    (source,) = sources(saved(tmp_path / "a.1.pt", values), "wsi-llava-pt")
    with open_source(source) as opened:
        blocks = [*opened.blocks]
        assert (opened.rows, opened.width, opened.coords_xy, opened.notes) == (11, 3, None, ())
    assert [len(block) for block in blocks] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(blocks).astype(np.float32), values.float().numpy())


def test_empty_channels_are_told(tmp_path: Path) -> None:
    values = torch.ones(5, 7)
    values[:, 4:] = 0
    (source,) = sources(saved(tmp_path / "a.pt", values), "wsi-llava-pt")
    with open_source(source) as opened:
        assert opened.notes == ("the last 3 of 7 channels are zero in every row: padding, kept",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(5), r"holds a tensor float32 \(5,\), expected one tensor of floats \[N, D\]"),
        (torch.ones(5, 3, dtype=torch.int64), "holds a tensor int64"),
        (torch.ones(0, 3), r"holds a tensor float32 \(0, 3\)"),
    ],
)
def test_other_tensors(tmp_path: Path, value: torch.Tensor, message: str) -> None:
    (source,) = sources(saved(tmp_path / "a.pt", value), "wsi-llava-pt")
    with pytest.raises(PathPluginsError, match=message), open_source(source):
        pass


def test_a_git_lfs_pointer_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (source,) = sources(tmp_path / "a.pt", "wsi-llava-pt")
    with pytest.raises(PathPluginsError, match="git lfs pull"), open_source(source):
        pass


@pytest.mark.parametrize(
    ("wrap", "noted"),
    [
        (lambda values: torch.nn.Parameter(values), ""),
        (lambda values: values.clone().requires_grad_(), ""),
        (lambda values: values.clone().requires_grad_() * 1, ""),  # with a graph behind it
        (lambda values: values[None], ""),
        (lambda values: [values], ""),
        (lambda values: {"coords": torch.zeros(5, 2), "feats": values[None]}, "took 'feats' of a dictionary; coords"),
        (lambda values: {"uni": values, "slide": "a"}, "took 'uni' of a dictionary; slide left out"),
    ],
    ids=["parameter", "leaf", "graph", "1nd", "list", "dict", "own-name"],
)
def test_what_exporters_put_around_features_is_looked_through(tmp_path: Path, wrap: object, noted: str) -> None:
    values = torch.arange(15.0).reshape(5, 3) + 1
    (source,) = sources(saved(tmp_path / "a.pt", wrap(values)), "wsi-llava-pt")
    with open_source(source) as opened:
        assert (opened.rows, opened.width) == (5, 3)
        np.testing.assert_array_equal(np.concatenate([*opened.blocks]), values.numpy())
        assert noted in "".join(opened.notes)


def test_a_dictionary_that_leaves_it_open_is_refused(tmp_path: Path) -> None:
    values = {"uni": torch.ones(5, 3), "plip": torch.ones(5, 4)}
    (source,) = sources(saved(tmp_path / "a.pt", values), "wsi-llava-pt")
    with (
        pytest.raises(PathPluginsError, match=r"uni: a tensor float32 \(5, 3\), plip.*save the tensor alone"),
        open_source(source),
    ):
        pass
