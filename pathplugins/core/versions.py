"""The only version comparisons: what was tested, what is known not to work."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Mapping

TESTED: dict[str, tuple[str, str]] = {
    "python": ("3.10", "3.12"),
    "llamafactory": ("0.9.3", "0.9.5"),
    "xtuner": ("0.1.23", "0.2.0"),
    "mmengine": ("0.10.6", "0.10.7"),
    "torch": ("2.4.1", "2.11.0"),
    "transformers": ("4.48.0", "5.5.4"),
    "peft": ("0.14.0", "0.21.2"),
    "deepspeed": ("0.16.2", "0.19.8"),
}
"""Oldest and newest version our tests ran with, both included; ``"3.12"`` stands for every 3.12.x."""


def installed(name: str) -> str | None:
    """Return the version of a distribution (``"python"``: of the interpreter), ``None`` when it is not installed."""
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: ``"2.11.0+cu130"`` -> (2, 11, 0), without pre-release and local parts."""
    match = re.match(r"\d+(\.\d+)*", version)
    if match is None:
        raise ValueError(f"{version!r} does not start with a version number such as 1.2.3")
    return tuple(int(number) for number in match.group().split("."))


def is_tested(name: str, version: str) -> bool:
    """Whether ``version`` lies in the tested range of ``name``; what has no range was not tested against one."""
    if name not in TESTED:
        return True
    low, high = (release(bound) for bound in TESTED[name])
    found = release(version)
    return low <= found and found[: len(high)] <= high


def describe(name: str) -> str:
    """Return one clause for messages: ``"llamafactory 0.9.6 installed, 0.9.3 to 0.9.5 tested"``."""
    version = installed(name)
    found = f"{name} {version} installed" if version else f"{name} not installed as a package"
    return f"{found}, {' to '.join(TESTED[name])} tested" if name in TESTED else found


def untested(*names: str) -> list[str]:
    """Return `describe` of each of these that is installed in a version outside its tested range."""
    versions = {name: installed(name) for name in names}
    return [describe(name) for name, version in versions.items() if version and not is_tested(name, version)]


def has_broken_flash_attention_2(transformers: str) -> bool:
    """Whether this Transformers calls FlashAttention-2 wrongly: 5.6.0, the newest that LLaMA-Factory 0.9.5 lets in."""
    return release(transformers) == (5, 6, 0)


def is_mismatched_torchaudio(torch: str, torchaudio: str) -> bool:
    """Whether torchaudio was compiled against another minor release of torch, under which it fails to import."""
    return release(torch)[:2] != release(torchaudio)[:2]


def refuses_classes_in_checkpoints(torch: str) -> bool:
    """Whether ``torch.load`` reads only tensors and plain containers, as from 2.6 on; classes must be named."""
    return release(torch) >= (2, 6)


def known_bad(versions: Mapping[str, str | None]) -> list[str]:
    """Return what is known to fail among these versions, each with what to type."""
    problems = []
    transformers, torch, torchaudio = (versions.get(name) for name in ("transformers", "torch", "torchaudio"))
    if transformers and has_broken_flash_attention_2(transformers):
        problems.append(
            f"transformers {transformers} breaks FlashAttention-2: "
            "pip install transformers==5.5.4, or set flash_attn: sdpa"
        )
    if torch and torchaudio and is_mismatched_torchaudio(torch, torchaudio):
        minor = ".".join(str(number) for number in release(torch)[:2])
        problems.append(
            f"torchaudio {torchaudio} cannot be imported beside torch {torch}: pip install 'torchaudio=={minor}.*'"
        )
    return problems
