"""Read and write the weights of the token selector, in model directories and beside a trained connector.

Only selectors that look at the question have weights. The published ``mm_projector.bin`` has no place for them, so they
lie beside it, in ``token_selector.safetensors``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer

from pathplugins.core.errors import CheckpointError
from pathplugins.models.compose.initialise import initialise
from pathplugins.models.compose.spec import SELECTOR_FILE, tower_without_weights
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.custom_llava.questions import Marks, question_marks
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.selectors.base import TokenSelector
from pathplugins.weights import read_weights
from pathplugins.weights.compare import mismatch
from pathplugins.weights.model_folder import holds_safetensors, weight_files

logger = logging.getLogger(__name__)

SELECTOR_PREFIX = "token_selector."
"""Before the names of the selector's weights in a checkpoint of the whole model."""


def fresh_selector(config: CustomLlavaConfig, *, seed: int) -> TokenSelector:
    """Build the selector of a model, with first weights if it has any."""
    connector, tower = CONNECTORS.get(config.projector_config["type"]), tower_without_weights(config.vision_config)
    width = config.text_config.hidden_size
    across_tiles = getattr(connector, "across_tiles", False)  # then tokens are chosen behind the connector
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = SELECTORS.get(config.vision_feature_select_mode)
        selector = kind(width if across_tiles else tower.hidden_size, width, **config.selector_config)
        initialise(selector)
    return selector


def load_selector(selector: TokenSelector, trained: Path) -> None:
    """Load the selector's weights from a trained connector's directory or checkpoint; warn where there are none."""
    wanted = selector.state_dict()
    if not wanted:
        return
    folder = trained if trained.is_dir() else trained.parent
    if (folder / SELECTOR_FILE).is_file():
        files = [folder / SELECTOR_FILE]
    elif trained.is_dir() and holds_safetensors(folder):
        files = weight_files(folder)
    else:
        files = [trained] if trained.suffix == ".safetensors" else []
    state: dict[str, Tensor] = {}
    for file in files:
        for name, value in read_weights(file, containing=SELECTOR_PREFIX).items():
            state[name.split(SELECTOR_PREFIX, 1)[1]] = value
    if not state:
        logger.warning("%s holds no weights of the token selector: its projection starts anew", folder)
        return
    if report := mismatch(wanted, state):
        raise CheckpointError(f"{files[0]} does not fit the token selector: {report}; is the language model another?")
    selector.load_state_dict(state)


def save_selector(state: Mapping[str, Tensor], folder: Path) -> None:
    """Write ``token_selector.safetensors`` beside ``mm_projector.bin``.

    Args:
        state: the selector's weights by its own names; nothing is written where there are none.
        folder: output directory of a training run, or a model directory.
    """
    if state:
        beside = folder / (SELECTOR_FILE + ".tmp")
        tensors = {SELECTOR_PREFIX + name: value.detach().cpu().contiguous() for name, value in state.items()}
        save_file(tensors, beside, metadata={"format": "pt"})
        beside.replace(folder / SELECTOR_FILE)


def marks_for(selector: TokenSelector, folder: Path) -> Marks | None:
    """Return ``question_marks`` of ``config.json`` by the tokenizer in ``folder``, where the selector needs them."""
    return question_marks(AutoTokenizer.from_pretrained(folder)) if selector.needs_prompt else None
