"""A lock ends with its process, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pathplugins.data_tools.engine.locks import Held, holder_of, holding


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    code = (
        "import sys, time; from pathlib import Path; from pathplugins.data_tools.engine.locks import holding\n"
        "with holding(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Held, match=f"process {process.pid} on "), holding(path):
        pass
    assert holder_of(path).pid == process.pid
    process.kill()
    process.wait()
    assert holder_of(path) is None
    with holding(path):
        assert holder_of(path).pid == os.getpid()
        with pytest.raises(Held), holding(path):
            pass
    assert not path.exists()
