"""A program that answers imports no trainer and nothing of SciPy, scikit-learn and torchvision."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from talking_models import QUESTION, WIDTH

from pathplugins.data.bags import BagAttributes, write_bag

pytest.importorskip("transformers")
UNUSED = ("llamafactory", "xtuner", "mmengine", "deepspeed", "scipy.optimize", "sklearn", "torchvision", "datasets")
CODE = """
import sys
from pathplugins.cli import main
code = main(sys.argv[1:])
print([name for name in {unused!r} if sys.modules.get(name)])
from transformers.generation import candidate_generator
print(candidate_generator.is_sklearn_available())
sys.exit(code)
"""


def test_asking_imports_what_it_needs(talker: Path, tmp_path: Path) -> None:
    sizes = {"patch_size": 256, "patch_size_level0": 256, "mpp": 0.5, "level0_mpp": 0.5}
    side = BagAttributes(slide_id="one", encoder="none", level0_width=5000, level0_height=6000, **sizes)
    coords = np.stack([np.arange(7), np.arange(7)], 1) * 256
    write_bag(tmp_path / "one.h5", [np.random.default_rng(0).standard_normal((7, WIDTH))], coords, side)
    words = ["ask", str(talker), "--bag", str(tmp_path / "one.h5"), "--question", QUESTION, "--max-new-tokens", "2"]
    code = CODE.format(unused=UNUSED)
    run = subprocess.run(
        [sys.executable, "-c", code, *words, "--device", "cpu"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    told = run.stdout.splitlines()
    assert told[-2] == "[]"
    installed = subprocess.run([sys.executable, "-c", "import sklearn"], capture_output=True, check=False)
    assert told[-1] == str(installed.returncode == 0)
