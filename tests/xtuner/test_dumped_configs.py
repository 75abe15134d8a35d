"""The shipped configs as MMEngine wrote them down in work directories before modules moved: they must go on working.

``dumped/NAME.txt`` is ``Config.fromfile("NAME.py").dump()`` of the release that came before the move,
or with which the config came.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.optim import LinearLR
from mmengine.utils.misc import get_object_from_string
from xtuner.engine.runner import TrainLoop

from pathplugins.commands.configs import folder
from pathplugins.xtuner.conversations import resolve_system, resolve_template
from pathplugins.xtuner.loop import PathologyTrainLoop
from pathplugins.xtuner.schedule import WarmUpLR
from pathplugins.xtuner.whole_checkpoints import WholeCheckpointHook

pytestmark = pytest.mark.host

DUMPED = sorted((Path(__file__).parent / "dumped").glob("*.txt"))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry of a config by its dotted key; a name of something imported as what it names."""
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from leaves(entry, f"{path}.{number}")
    elif isinstance(value, str) and re.fullmatch(r"[a-z]\w*(\.\w+)+", value):
        yield path, get_object_from_string(value) or value
    else:
        yield path, value


@pytest.fixture(params=DUMPED, ids=lambda path: path.stem)
def dumped(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A dumped config, read as ``xtuner train`` reads it."""
    return Config.fromfile(shutil.copy(request.param, tmp_path / f"{request.param.stem}.py"))


def test_there_is_one_for_each_shipped_config() -> None:
    shipped = [path.stem for path in sorted(folder("xtuner").glob("*.py")) if path.stem != "pathology_base"]
    assert [path.stem for path in DUMPED] == shipped
    assert len(DUMPED) >= 12


def test_every_name_in_it_is_still_there(dumped: Any) -> None:
    names = re.findall(r"'((?:pathplugins|mmengine|xtuner|torch|peft|transformers)\.[\w.]+)'", dumped.pretty_text)
    assert len(set(names)) >= 15
    assert [name for name in names if get_object_from_string(name) is None] == []


MENDED = {LinearLR: WarmUpLR, TrainLoop: PathologyTrainLoop, CheckpointHook: WholeCheckpointHook}
"""What a dump names -> what stands in its place since: the same where the host did right."""


def test_it_says_what_the_shipped_config_says(dumped: Any) -> None:
    shipped = Config.fromfile(folder("xtuner") / Path(dumped.filename).name)
    now = dict(leaves(shipped._cfg_dict.to_dict()))
    before = dict(leaves(dumped._cfg_dict.to_dict()))
    assert len(before) > 80
    wanted = {key: MENDED.get(value, value) if isinstance(value, type) else value for key, value in before.items()}
    assert {key: now.get(key, "gone") for key in before} == wanted


def test_its_template_and_system_prompt_are_found(dumped: Any) -> None:
    data = dumped.train_dataloader.dataset
    assert "INSTRUCTION" in resolve_template(data.prompt_template)
    if "system" in data:
        assert " " in resolve_system(data.system), "a sentence, not the name of one"
