"""``pathplugins compose``: language model + vision tower + connector -> one model directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pathplugins.commands.lines import say
from pathplugins.core.json_values import parse_json
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers import TOWERS
from pathplugins.published.preprocessing import ASPECT_RATIOS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, named as the keys of a training configuration."""
    parts = parser.add_argument_group("parts")
    parts.add_argument("--llm", required=True, metavar="DIR_OR_HUB_ID", help="causal language model in safetensors")
    parts.add_argument(
        "--vision-tower",
        metavar="PATH_OR_HUB_ID",
        help="weights of the tower: a file such as slide_encoder.pth, or the directory of a CLIP",
    )
    parts.add_argument("--vision-model", default="gigapath", metavar="NAME", help=f"kind of tower: {_names(TOWERS)}")
    parts.add_argument("--vision-config", type=_json, default={}, metavar="JSON", help="options of the tower")
    parts.add_argument("--random-vision-seed", type=int, metavar="N", help="an UNTRAINED tower, for smoke tests")
    parts.add_argument("--projector", default="gamma_mlp", metavar="NAME", help=f"connector: {_names(CONNECTORS)}")
    parts.add_argument("--projector-config", type=_json, default={}, metavar="JSON", help="options of the connector")
    parts.add_argument(
        "--projector-path", metavar="PATH", help="trained connector: a file, or the output folder of stage 2"
    )
    parts.add_argument("--projector-dropout", type=float, metavar="P", help="dropout, of a connector that has one")
    parts.add_argument(
        "--gamma-min", type=float, metavar="X", help="lower bound of the scale, of a connector that has one"
    )
    parts.add_argument("--gamma-max", type=float, metavar="X", help="upper bound of the scale")
    parts.add_argument(
        "--gamma-init", type=float, metavar="X", help="first scale; the middle of the bounds unless given"
    )
    parts.add_argument("--keep-gamma", action="store_true", help="keep the trained scale under other bounds")
    tokens = parser.add_argument_group("vision tokens")
    tokens.add_argument(
        "--select", metavar="NAME", help=f"token selector: {_names(SELECTORS)}; by what the tower reads unless given"
    )
    tokens.add_argument("--select-config", type=_json, default={}, metavar="JSON", help="options of the selector")
    tokens.add_argument("--image-seq-length", type=int, default=1536, metavar="N", help="per bag, CLS not counted")
    tokens.add_argument("--patches-per-wsi", type=int, default=2048, metavar="N", help="rows read from a bag, at most")
    tokens.add_argument(
        "--patches-sampling", default="random", choices=("random", "linspace", "first"), help="which rows; %(default)s"
    )
    tokens.add_argument(
        "--patches-per-case", type=int, metavar="N", help="rows read of all bags of a sample, where it has several"
    )
    tokens.add_argument(
        "--case-shares",
        default="even",
        choices=("even", "in_order"),
        help="how the bags of a sample share these; %(default)s",
    )
    tokens.add_argument("--patches-block", type=int, default=1, metavar="B", help="rows drawn next to each other")
    tokens.add_argument("--coords-mpp", type=float, metavar="X", help="um per pixel of bags that do not record it")
    tokens.add_argument("--allow-other-encoder", action="store_true", help="take bags of another patch encoder too")
    tokens.add_argument("--image-aspect-ratio", default="anyres", choices=ASPECT_RATIOS, help="image -> tiles")
    tokens.add_argument("--fast-resize", action="store_true", help="tiles faster, pixels a little different")
    tokens.add_argument("--prefix-lm", action="store_true", help="prompt and vision tokens attend in both directions")
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="of a fresh connector and of all draws")
    parser.add_argument(
        "--keep-float32", action="store_true", help="store tower and connector in float32, not in the LLM's type"
    )
    parser.add_argument("--copy", action="store_true", help="copy the language model's shards instead of linking them")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new directory")


def run(args: argparse.Namespace) -> int:
    """Compose, and print which file of the model was made of which source."""
    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.connector_keys import connector_options
    from pathplugins.models.compose.local_copy import FILES, TOWER_FILES, local_copy
    from pathplugins.models.compose.spec import ComposeSpec

    spec = ComposeSpec(
        llm=local_copy(args.llm, "--llm", FILES),
        vision_tower=args.vision_tower and local_copy(args.vision_tower, "--vision-tower", TOWER_FILES),
        vision_model_name=args.vision_model,
        vision_config=args.vision_config,
        random_vision_seed=args.random_vision_seed,
        mm_projector_type=args.projector,
        projector_config={**args.projector_config, **connector_options(vars(args))},
        projector_path=args.projector_path,
        keep_gamma=args.keep_gamma,
        vision_feature_select_mode=args.select,
        selector_config=args.select_config,
        image_seq_length=args.image_seq_length,
        patches_per_wsi=args.patches_per_wsi,
        patches_sampling=args.patches_sampling,
        patches_per_case=args.patches_per_case,
        case_shares=args.case_shares,
        patches_block=args.patches_block,
        use_prefix_lm_mask=args.prefix_lm,
        image_aspect_ratio=args.image_aspect_ratio,
        fast_resize=args.fast_resize,
        coords_mpp=args.coords_mpp,
        allow_other_encoder=args.allow_other_encoder,
        keep_float32=args.keep_float32,
        seed=args.seed,
    )
    compose(spec, args.out, copy=args.copy)
    for path in sorted(args.out.iterdir()):
        origin = f"  -> {path.resolve()}" if path.is_symlink() else ""
        say(f"{_size(path.stat().st_size):>9}  {path.name}{origin}")
    say(f"composed {args.out}; train with model_name_or_path: {args.out}, or ask it:")
    file = "--bag FILE.h5" if TOWERS.get(args.vision_model).reads == "bags" else "--image FILE"
    say(f'  pathplugins ask {args.out} {file} --question "What does this show?"')
    return 0


def _json(text: str) -> dict[str, Any]:
    """Parse an object of JSON, the value of an option."""
    try:
        value = parse_json(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'wanted an object such as {{"num_heads": 16}}, got {text}')
    return value


def _names(registry: Any) -> str:
    return " | ".join(registry)


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
