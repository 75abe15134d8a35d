"""Import Quilt-LLaVA: a directory of LLaVA v1.5 whose projector, not its config.json, tells the vision tower.

Scripts, README and config.json speak of two towers. The width of ``mm_projector.0.weight`` decides; a tower of another
width or number of tokens is refused, with the name of the one that fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.models.foreign.llava.read import Imported, import_llava
from pathplugins.models.foreign.llava.settings import LlavaSettings, is_llava, read_settings
from pathplugins.models.foreign.llava.tower import named_tower
from pathplugins.models.towers.clip_checkpoint import POSITIONS, read_clip
from pathplugins.models.towers.clip_vit import ClipVisionConfig
from pathplugins.models.towers.open_clip_checkpoint import CONFIG as OPEN_CLIP_CONFIG
from pathplugins.published.open_clip import GELU, QUICK_GELU
from pathplugins.published.quilt_llava import QUILTNET_B_32, TOWERS, WEIGHTS, QuiltTower
from pathplugins.weights.compare import few
from pathplugins.weights.file import file_weights
from pathplugins.weights.model_folder import checkpoint_files
from pathplugins.weights.names.llava import part_of

PROJECTOR = "mm_projector.0.weight"


class _Widths(NamedTuple):
    """What the shapes in a checkpoint tell."""

    projector: int
    """Width of the vision tokens that the projector reads."""
    tower: tuple[int, int] | None
    """Width and patch tokens of the vision tower in the checkpoint; None where there is none."""


def import_quilt_llava(
    source: Path,
    out: Path,
    *,
    vision_tower: Path | None = None,
    activation: str | None = None,
    image_aspect_ratio: str | None = None,
    template: str | None = None,
) -> list[str]:
    """Write the model directory ``out``, whole or not at all, and return what to say about it.

    Args:
        source: directory of the checkpoint.
        out: new directory, or an empty one.
        vision_tower: directory of QuiltNet-B-32 or of OpenAI's CLIP ViT-L/14-336, whichever fits.
        activation: of the tower, where nothing tells it.
        image_aspect_ratio: ``pad`` or ``square``, in place of what config.json says.
        template: ``none`` leaves a tokenizer without a chat template as it is.

    Raises:
        CheckpointError: The tower does not fit, or `import_llava` refuses the checkpoint.
    """
    if not source.is_dir() or not is_llava(source):
        held = few(sorted(path.name for path in source.iterdir())) if source.is_dir() else "a file"
        raise CheckpointError(
            f"{source} is no directory of LLaVA with a config.json that names mm_vision_tower (found "
            f"{held or 'nothing'}); {WEIGHTS} is behind a form: accept it on its page, then `hf download {WEIGHTS} "
            "--local-dir DIR`"
        )
    settings = read_settings(source, image_aspect_ratio=image_aspect_ratio)
    widths = _widths(source, settings)
    fits = _fitting(source, settings, widths)
    place = str(vision_tower) if vision_tower else named_tower(source, settings.tower_name)
    notes = _check(source, settings, fits, widths, place, given=vision_tower is not None, activation=activation)
    if place is None and activation is None:
        activation = fits.activation
    done = import_llava(
        source,
        out,
        vision_tower=place,
        activation=activation,
        image_aspect_ratio=image_aspect_ratio,
        template=template != "none",
    )
    return [*_said(source, done, fits, settings), *notes, *_next(out, done)]


def _widths(source: Path, settings: LlavaSettings) -> _Widths:
    """Read the widths from the heads of the weights; nothing of them is loaded."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for file in checkpoint_files(source):
        for name, value in file_weights(file).stored.items():
            if part := part_of(name, settings.layout):
                found[part] = value.shape
    first = found.get(("connector", "linear_1.weight"))
    if first is None or len(first) != 2:
        raise CheckpointError(
            f"{source} holds no {PROJECTOR}, whose width tells the vision tower; is the download complete?"
        )
    positions = found.get(("vision tower", POSITIONS))  # [1 + N, C]
    return _Widths(first[1], (positions[1], positions[0] - 1) if positions else None)


def _fitting(source: Path, settings: LlavaSettings, widths: _Widths) -> QuiltTower:
    """Return the tower that the projector was trained on."""
    if widths.projector not in TOWERS:
        known = " or ".join(f"{tower.width} of {tower.name}" for tower in TOWERS.values())
        raise CheckpointError(
            f"{source}: {PROJECTOR} reads tokens {widths.projector} wide, Quilt-LLaVA's towers give {known}; for "
            "another LLaVA leave the name quilt-llava out"
        )
    fits = TOWERS[widths.projector]
    if widths.tower not in (None, (fits.width, fits.tokens)):
        width, tokens = widths.tower
        raise CheckpointError(
            f"{source}: {PROJECTOR} reads tokens {widths.projector} wide, as {fits.name} gives ({fits.tokens} an image)"
            f", and the vision tower in the checkpoint gives {tokens} tokens {width} wide: files of two models lie "
            "together; download one again"
        )
    return fits


def _check(
    source: Path,
    settings: LlavaSettings,
    fits: QuiltTower,
    widths: _Widths,
    place: str | None,
    *,
    given: bool,
    activation: str | None,
) -> list[str]:
    """Refuse a tower that does not fit, before anything is written; return what is to be known of one that does."""
    need = f"give --vision-tower {fits.hub_id}, or its directory"
    because = f"{source}: {PROJECTOR} reads tokens {fits.width} wide, so that {fits.name} fits"
    if place is None:
        if widths.tower is None:
            raise CheckpointError(
                f"{because} (its config.json names {settings.tower_name}), and no weights of it are there; {need}"
            )
        if fits.activation is None and activation is None:
            raise CheckpointError(
                f"{because}, whose weights in the checkpoint do not tell the activation: {need}, or --activation "
                f"{QUICK_GELU} or {GELU}"
            )
        return []
    options: dict[str, Any] = {"select_layer": settings.select_layer}
    told, _ = read_clip(place, {**options, "hidden_act": activation} if activation else options)
    got = ClipVisionConfig(**told)
    if (got.hidden_size, got.tokens_per_tile) != (fits.width, fits.tokens):
        whose = "" if given else ", which its config.json names,"
        raise CheckpointError(
            f"{because} ({fits.tokens} tokens an image), and {place}{whose} gives {got.tokens_per_tile} tokens "
            f"{got.hidden_size} wide; {need}"
        )
    return _two_activations(Path(place), got.hidden_act) if fits is QUILTNET_B_32 else []


def _two_activations(place: Path, taken: str) -> list[str]:
    """Return a warning where the two configurations of QuiltNet's directory name two activations."""
    ours, theirs = place / "config.json", place / OPEN_CLIP_CONFIG
    if not place.is_dir() or not theirs.is_file():
        return []
    other = QUICK_GELU if read_json(theirs).get("model_cfg", {}).get("quick_gelu") else GELU
    if not ours.is_file():
        return [
            f"its activation {taken} is that of {OPEN_CLIP_CONFIG}; Quilt-LLaVA's code reads config.json of the same "
            "repository: fetch it too, with pytorch_model.bin"
        ]
    if taken == other:
        return []
    return [
        f"its activation {taken} is that of config.json, as in Quilt-LLaVA's code; {OPEN_CLIP_CONFIG} means {other}"
    ]


def _said(source: Path, done: Imported, fits: QuiltTower, settings: LlavaSettings) -> list[str]:
    counts = ", ".join(f"{count} of the {part}" for part, count in done.counts.items())
    lines = [
        f"{source}: Quilt-LLaVA, tensors: {counts}; {done.dtype}",
        f"vision tower {fits.name}, by the {fits.width} columns of {PROJECTOR}: {fits.tokens} tokens an image, from "
        f"{done.tower}, hidden state {done.select_layer}",
    ]
    wrong = {tower.hub_id for tower in TOWERS.values()} - {fits.hub_id}
    if settings.tower_name in wrong:
        lines.append(f"config.json names {settings.tower_name}, which its weights contradict")
    ratio = settings.image_aspect_ratio
    how = "padded to a square" if ratio == "pad" else "cut to their middle"
    lines.append(f"images are {how}; the published evaluation cuts them: evaluate --image-aspect-ratio square")
    return lines


def _next(out: Path, done: Imported) -> list[str]:
    given = ["the tokenizer had no chat template and was given LLaVA's v1 (--template none leaves it without)"]
    return [
        *(given if done.template_given else []),
        f"wrote {out}; train with model_name_or_path: {out}, or ask it:",
        f'  pathplugins ask {out} --image FILE --question "What does this show?"',
    ]
