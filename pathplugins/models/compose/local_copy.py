"""Find a part of a model by directory, file or hub id."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.models.compose.tiny_llm import TINY, tiny_llm

logger = logging.getLogger(__name__)

FILES = ["*.safetensors", "*.json", "*.model", "*.jinja", "*.txt"]
"""File patterns that are downloaded for a language model."""
TOWER_FILES = ["*.json", "*.safetensors", "*.bin", "*.pt", "*.pth"]
"""File patterns that are downloaded for a vision tower."""


def local_copy(name: str, option: str, files: list[str], **hub: Any) -> str:
    """Return ``name`` as an absolute path: itself when it exists, else its copy in the Hugging Face cache.

    Args:
        name: file, directory, hub id, or `TINY` for an untrained language model made here.
        option: what asked for it, for messages.
        files: patterns of what to fetch.
        **hub: further options of ``snapshot_download``: ``revision``, ``cache_dir``, ``token``.

    Raises:
        PathPluginsError: There is no such path and no hub repository that can be fetched; a near path is suggested.
    """
    if name == TINY:
        return str(tiny_llm())
    path = Path(name).expanduser()
    if path.exists():
        return str(path.absolute())
    if path.is_absolute() or name.startswith("."):
        raise PathPluginsError(f"{option}: {name} does not exist; correct the path or give a hub id{near_path(path)}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    logger.info("%s %s is no path here; fetching it from the Hugging Face hub", option, name)
    try:
        return snapshot_download(name, allow_patterns=files, **hub)
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PathPluginsError(
            f"{option} {name} is neither a path nor a hub repository that can be fetched: {reason}; check the name, "
            f"log in for gated models (hf auth login), or give a directory{near_path(path)}"
        ) from error
