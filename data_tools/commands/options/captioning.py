"""Options of requests about patches: the manifest, and the fields of a request other than its question."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json

from ...captioning.asking import RequestOptions
from ...captioning.stages import BUILT_IN, TEXT_ONLY

PROMPTS = f"{', '.join(BUILT_IN)}, or NAME=FILE for a prompt of your own"


@dataclass(frozen=True, kw_only=True)
class PatchRequestOptions:
    """The patches to ask about, and the fields of each request other than its question."""

    source: Path
    temperature: float = 0.0
    max_tokens: int = 512
    body: dict[str, Any] = field(default_factory=dict)
    text_only: str = ",".join(TEXT_ONLY)
    """Names of stages that get no image, with commas."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise PathPluginsError(f"--max-tokens must be at least 1, got {self.max_tokens}; 512 is usual")

    def request(self) -> RequestOptions:
        """Return the fields of every request."""
        return RequestOptions(temperature=self.temperature, max_tokens=self.max_tokens, extra=self.body)

    def without_image(self) -> list[str]:
        """Return the names of the stages that get no image."""
        return self.text_only.split(",")


def add_patch_request_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `PatchRequestOptions`."""
    sub.add_argument("source", type=Path, metavar="IN", help="a manifest.jsonl, or the folder with it")
    sub.add_argument("--temperature", type=float, default=0.0, help="default %(default)g: the likeliest words")
    sub.add_argument("--max-tokens", type=int, default=512, metavar="N", help="of an answer (default %(default)s)")
    sub.add_argument(
        "--body",
        type=json_object,
        default={},
        metavar="JSON",
        help="further fields of every request, e.g. '{\"seed\": 1}'",
    )
    sub.add_argument(
        "--text-only",
        default=",".join(TEXT_ONLY),
        metavar="STAGES",
        help="stages that get no image, only the text of the stage before (default %(default)s)",
    )


def json_object(text: str) -> dict[str, Any]:
    """Return a JSON object; a type for ``add_argument``."""
    try:
        value = parse_json(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"wanted a JSON object such as '{{\"seed\": 1}}', got {text!r}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"wanted a JSON object such as '{{\"seed\": 1}}', got {text!r}")
    return value
