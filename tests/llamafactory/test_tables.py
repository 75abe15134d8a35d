"""Tables of ``pathdata table``, as LLaMA-Factory loads them by the entries beside them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from pathplugins.data_tools.cli import main

pytestmark = pytest.mark.host


def test_the_tables_load_as_they_are_named(arguments: Any, typed: dict[str, Any], tmp_path: Path) -> None:
    from llamafactory.data import loader

    (tmp_path / "bags").mkdir()
    lines = ["slide_id,label"]
    for number in range(12):
        lines.append(f"TCGA-AB-{number:04}-01Z-00-DX1.svs,{('LUAD', 'LUSC')[number % 2]}")
        with h5py.File(tmp_path / "bags" / f"TCGA-AB-{number:04}-01Z-00-DX1.h5", "w") as file:
            file["features"] = np.full((3, 16), number + 1, np.float16)
            file["coords_yx"] = np.arange(6).reshape(3, 2) * 256
            file.attrs.update(tool_version="1", encoder="gigapath", level0_mpp=0.5)
    (tmp_path / "slides.csv").write_text("\n".join(lines))
    out = tmp_path / "data"
    assert main(["table", str(tmp_path / "slides.csv"), "--bags", str(tmp_path / "bags"), "--out", str(out)]) == 0
    total = 0
    for attr in loader.get_dataset_list(["slides_train", "slides_valid", "slides_test"], str(out)):
        data_args = SimpleNamespace(dataset_dir=str(out), media_dir=str(out), dataset=[], eval_dataset=None)
        data_args.preprocessing_num_workers, data_args.streaming = 1, False
        data_args.template, data_args.default_system, data_args.max_samples = "custom_vqa_llama3", None, None
        data_args.overwrite_cache = False
        training: Any = {"output_dir": str(tmp_path / "run"), "should_log": True, "should_save": True}
        training = SimpleNamespace(**training, dataloader_num_workers=0)
        samples = loader._load_single_dataset(attr, arguments(**typed), data_args, training)
        total += len(samples)
        assert all(Path(sample["_images"][0]).is_file() for sample in samples)
        assert all(sample["_response"][0]["content"][3:] in ("LUAD", "LUSC") for sample in samples)
    assert total == 12
