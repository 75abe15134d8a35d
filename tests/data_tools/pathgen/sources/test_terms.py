"""Terms are shown, and agreed to before anything is downloaded."""

import os
import subprocess
import sys

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.sources.terms import agree


@pytest.mark.parametrize(("answer", "code"), [(b"\n", 2), (b"Yes\n", 0)], ids=repr)
def test_on_a_terminal_the_terms_are_asked_for(answer: bytes, code: int) -> None:
    script = "import sys; from pathplugins.data_tools.pathgen.sources.terms import agree\n"
    script += "from pathplugins.core.errors import PathPluginsError\n"
    script += "try: agree('first terms', 'second terms', yes=False)\n"
    script += "except PathPluginsError as error: print(error); sys.exit(2)"
    ours, theirs = os.openpty()
    os.write(ours, answer)
    done = subprocess.run([sys.executable, "-c", script], stdin=theirs, capture_output=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == code, done.stderr
    assert b"- first terms\n- second terms\n" in done.stderr
    assert b"[y/N]" in done.stderr


def test_without_a_terminal_yes_has_to_be_passed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    agree("the terms", yes=True)
    with pytest.raises(PathPluginsError, match="nothing was downloaded: pass --yes"):
        agree("the terms", yes=False)
    assert capsys.readouterr().err.count("- the terms") == 2
