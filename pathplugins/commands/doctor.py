"""``pathplugins doctor``: report versions, the hook, the trainers' symbols and our names in them, and what is wrong."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pathplugins import __version__, bootstrap
from pathplugins.core import hosts, touch_points, versions

PACKAGES = (
    *("torch", "torchvision", "torchaudio", "transformers", "peft", "deepspeed", "llamafactory", "xtuner", "mmengine"),
    *("timm", "h5py", "openslide-python"),
)
_PROBE_TIMEOUT_S = 300  # importing a trainer takes 10 to 20 s, several times that on a cold network disk
_PROBE_MARK = "pathplugins-probe:"

Verdict = Literal["ok", "warn", "fail", ""]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report."""

    section: str
    name: str
    value: str
    verdict: Verdict = "ok"


def examine() -> Iterator[Finding]:
    """Examine this environment; yield the lines of the report in order."""
    yield from _versions()
    yield from _hook()
    if versions.installed("torch") is None:
        yield Finding(section="trainer", name="torch", value="not installed, so no trainer to ask", verdict="")
        return
    answer = _ask_child()
    if isinstance(answer, str):
        yield Finding(section="trainer", name="asking it", value=answer, verdict="fail")
    else:
        yield from _trainer(answer)


def probe() -> None:
    """Import the trainers as training runs do and print what they know, as one JSON line; for a child process."""
    import torch

    cuda = range(torch.cuda.device_count())
    answer: dict[str, Any] = {"accelerators": [torch.cuda.get_device_name(index) for index in cuda]}
    answer["drift"] = {
        name: touch_points.check(points) for name, points in hosts.TRAINERS.items() if versions.installed(name)
    }
    answer["registered"] = _registered() if answer["drift"].get("llamafactory") == [] else {}
    answer["failures"] = [f"{name}: {message}" for name, message, _ in bootstrap.FAILURES]
    sys.stdout.write(f"\n{_PROBE_MARK}{json.dumps(answer)}\n")


def render(findings: list[Finding]) -> str:
    """Return the report as aligned lines."""
    width = max(len(finding.name) for finding in findings)
    lines: list[str] = []
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            lines += ["", section]
        lines.append(f"  {finding.verdict:4}  {finding.name:{width}}  {finding.value}")
    wrong = sum(finding.verdict == "fail" for finding in findings)
    lines += ["", f"{wrong} problem{'s' * (wrong != 1)} found" if wrong else "nothing wrong found"]
    return "\n".join(lines).lstrip("\n") + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no options: the command takes none."""


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 when something is wrong."""
    findings = list(examine())
    sys.stdout.write(render(findings))
    return int(any(finding.verdict == "fail" for finding in findings))


def _versions() -> Iterator[Finding]:
    found = {name: versions.installed(name) for name in ("python", *PACKAGES)}
    yield Finding(section="versions", name="pathplugins", value=__version__)
    for name, version in found.items():
        tested = f"(tested: {' to '.join(versions.TESTED[name])})" if name in versions.TESTED else ""
        if version is None:
            yield Finding(section="versions", name=name, value=f"not installed {tested}".rstrip(), verdict="")
        else:
            verdict: Verdict = "ok" if versions.is_tested(name, version) else "warn"
            yield Finding(section="versions", name=name, value=f"{version} {tested}".rstrip(), verdict=verdict)
    for problem in versions.known_bad(found):
        yield Finding(section="versions", name="combination", value=problem, verdict="fail")


def _hook() -> Iterator[Finding]:
    code = "import sys; print(any(type(finder).__module__ == 'pathplugins.bootstrap' for finder in sys.meta_path))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    disabled = os.environ.get("PATHPLUGINS_DISABLE")
    cure = (
        f"PATHPLUGINS_DISABLE={disabled} is set"
        if disabled
        else "pip install the package, its pathplugins.pth starts it"
    )
    for name, on in (("this interpreter", bootstrap.active()), ("a new interpreter", child.stdout.strip() == "True")):
        yield Finding(section="hook", name=name, value="on" if on else f"off: {cure}", verdict="ok" if on else "fail")


def _ask_child() -> dict[str, Any] | str:
    """Run :func:`probe` in a new interpreter; return its answer, or why there is none."""
    command = [sys.executable, "-c", "from pathplugins.commands.doctor import probe; probe()"]
    try:
        child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PROBE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"importing it took more than {_PROBE_TIMEOUT_S} s"
    for line in reversed(child.stdout.splitlines()):
        if line.startswith(_PROBE_MARK):
            return json.loads(line.removeprefix(_PROBE_MARK))
    last = next(reversed(child.stderr.strip().splitlines()), "no message")
    return f"importing it ended with exit code {child.returncode}: {last}"


def _registered() -> dict[str, bool]:
    # `train` imports these; without them a table may exist before the module that fills it.
    for point in hosts.LLAMAFACTORY:
        touch_points.resolve(point.path)
    return {f"{entry.kind} {entry.name}": touch_points.is_registered(entry) for entry in hosts.REGISTERED}


def _trainer(answer: dict[str, Any]) -> Iterator[Finding]:
    devices = ", ".join(answer["accelerators"]) or "none, CPU only"
    yield Finding(section="trainer", name="accelerators", value=devices)
    if not answer["drift"]:
        names = " nor ".join(hosts.TRAINERS)
        yield Finding(section="trainer", name="trainers", value=f"neither {names} is installed", verdict="")
    for problem in answer["failures"]:
        yield Finding(section="trainer", name="registration failed", value=problem, verdict="fail")
    for trainer, problems in answer["drift"].items():
        for problem in problems:
            yield Finding(section="trainer", name="symbol changed", value=problem, verdict="fail")
        if not problems:
            count = f"all {len(hosts.TRAINERS[trainer])} are as we know them"
            yield Finding(section="trainer", name=f"symbols of {trainer}", value=count)
    for name, known in answer["registered"].items():
        value = "registered" if known else "not registered"
        yield Finding(section="trainer", name=name, value=value, verdict="ok" if known else "fail")
    for trainer, problems in answer["drift"].items():
        yield from _symbols(trainer, problems)


def _symbols(trainer: str, problems: list[str]) -> Iterator[Finding]:
    """Yield every symbol of a trainer that is as we know it, and whether we replace it."""
    for point in hosts.TRAINERS[trainer]:
        if not any(problem.startswith(f"{point.path} ") for problem in problems):
            name = f"replaced {point.replaced}" if point.replaced else "used"
            yield Finding(section=f"symbols of {trainer}", name=name, value=point.path)
