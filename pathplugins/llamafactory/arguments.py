"""The YAML keys pathplugins adds to LLaMA-Factory, as one dataclass."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Optional, Union  # HfArgumentParser evaluates the annotations

from llamafactory.extras.misc import try_download_model_from_other_hub
from llamafactory.hparams.model_args import ModelArguments

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.models.compose.connector_keys import CONNECTOR_KEYS, connector_options
from pathplugins.models.towers import TOWERS, reads_images

logger = logging.getLogger(__name__)

VIRTUAL_MODEL = "custom_llava"
"""``model_name_or_path`` that asks for a model composed from the keys below."""


# A bare `dict`, no Dict[str, Any]: typing hands out the order (str, dict) where another module has written that before,
# and HfArgumentParser then asks whether None is an instance of the second.
@dataclass
class PathPluginsArguments:
    """Parts, options and data rules of pathology models."""

    llm_name_or_path: Optional[str] = field(
        default=None, metadata={"help": "Language model: directory or hub id of a causal LM in safetensors."}
    )
    processor_name_or_path: Optional[str] = field(
        default=None,
        metadata={"help": "Accepted as published; bags need none and image towers bring theirs, so it is not read."},
    )
    vision_tower: Optional[str] = field(
        default=None, metadata={"help": "Its weights: slide_encoder.pth of prov-gigapath, a CLIP or PLIP directory."}
    )
    vision_model_name: Optional[str] = field(default=None, metadata={"help": "Which tower: gigapath, plip or clip."})
    vision_mode: Optional[Literal["wsi", "image"]] = field(
        default=None, metadata={"help": "wsi: the image is a feature bag; image: it is a picture. Checked only."}
    )
    vision_config: Optional[Union[dict, str]] = field(
        default=None, metadata={"help": "Options of the tower; its size when it is untrained."}
    )
    random_vision_seed: Optional[int] = field(
        default=None, metadata={"help": "Seed of an UNTRAINED tower, for smoke tests without weights."}
    )
    mm_projector_type: Optional[str] = field(
        default=None,
        metadata={
            "help": "Connector: gamma_mlp, scale_invariant, mlp2x_gelu or linear. With gamma_* keys, mlp2x_gelu is "
            "gamma_mlp."
        },
    )
    projector_config: Optional[Union[dict, str]] = field(
        default=None, metadata={"help": "Options of the connector by their own names, e.g. projector_depth."}
    )
    mm_hidden_size: Optional[int] = field(
        default=None, metadata={"help": "Width of the tower; checked, never assumed."}
    )
    mm_vision_select_layer: Optional[int] = field(
        default=None, metadata={"help": "Layer of an image tower (-2). A slide encoder gives its output, as published."}
    )
    mm_vision_select_feature: Optional[str] = field(
        default=None, metadata={"help": "Accepted as published; for image towers."}
    )
    mm_patch_merge_type: Optional[str] = field(
        default=None, metadata={"help": "Accepted as published; for image towers."}
    )
    mm_use_im_start_end: bool = field(default=False, metadata={"help": "Accepted as published; must be false."})
    mm_use_im_patch_token: bool = field(default=False, metadata={"help": "Accepted as published; must be false."})
    image_aspect_ratio: Optional[str] = field(
        default=None, metadata={"help": "Image towers: anyres (thumbnail and tiles) or pad (one square)."}
    )
    fast_resize: Optional[bool] = field(
        default=None, metadata={"help": "Image towers: resize as tensors, faster; pixels differ a little."}
    )
    vision_feature_select_mode: Optional[str] = field(
        default=None,
        metadata={
            "help": "Token selector: random_sample, prumerge, prumerge_adaptive, prompt_topk, stride, spatial or none."
        },
    )
    selector_config: Optional[Union[dict, str]] = field(
        default=None, metadata={"help": "Options of the token selector by their own names, e.g. k_per_token."}
    )
    image_seq_length: Optional[int] = field(
        default=None,
        metadata={"help": "Vision tokens per bag or image at most, CLS not counted; 0: the slide's CLS token alone."},
    )
    patches_per_wsi: Optional[int] = field(default=None, metadata={"help": "Rows read from a bag at most (2048)."})
    patches_block: Optional[int] = field(
        default=None, metadata={"help": "Rows drawn next to each other (1); 64 suits storage that is slow to seek."}
    )
    projector_dropout: Optional[float] = field(default=None, metadata={"help": "Dropout of gamma_mlp."})
    gamma_init: Optional[float] = field(
        default=None, metadata={"help": "First scale of gamma_mlp; the middle of its bounds."}
    )
    gamma_min: Optional[float] = field(default=None, metadata={"help": "Lower bound of the scale of gamma_mlp."})
    gamma_max: Optional[float] = field(default=None, metadata={"help": "Upper bound of the scale of gamma_mlp."})
    projector_path: Optional[str] = field(
        default=None,
        metadata={"help": "Trained connector: mm_projector.bin, safetensors or the output directory of stage 2."},
    )
    pretrain_mm_mlp_adapter: Optional[str] = field(
        default=None, metadata={"help": "What LLaVA calls projector_path; give one of the two."}
    )
    keep_gamma: bool = field(
        default=False,
        metadata={"help": "With other bounds than at training, keep the trained scale instead of its logit."},
    )
    lr_mult: Optional[Union[dict, str]] = field(
        default=None,
        metadata={"help": "Part of a weight's name -> factor of its learning rate: {multi_modal_projector: 0.5}."},
    )
    projector_seed: int = field(default=42, metadata={"help": "Seed of a fresh connector."})
    use_prefix_lm_mask: Optional[bool] = field(
        default=None, metadata={"help": "Vision tokens and prompt attend in both directions."}
    )
    do_sanity_check: bool = field(
        default=False, metadata={"help": "Repeat each evaluation without vision and log eval_sanity_check_loss."}
    )
    group_by_modality_length: bool = field(
        default=False,
        metadata={"help": "Batches of samples with images, or of text alone, that are about as long, as in LLaVA."},
    )
    filter_by_data_source: Optional[str] = field(
        default=None, metadata={"help": "Keep rows of this data_source (case does not matter)."}
    )
    on_bad_sample: Literal["error", "skip"] = field(
        default="error", metadata={"help": "Stop before training, or train on the rest and write the report."}
    )
    check_features: bool = field(
        default=True,
        metadata={"help": "Read every bag once before training and look for NaN; remembered between runs."},
    )
    coords_mpp: Optional[float] = field(
        default=None, metadata={"help": "Microns per pixel of the coordinates of bags that do not record it."}
    )
    compat_coords_yx: Optional[bool] = field(
        default=None, metadata={"help": "Give the tower (y, x) as the published code does; transposes the slide."}
    )
    allow_other_encoder: Optional[bool] = field(
        default=None, metadata={"help": "Take bags of another patch encoder than the one the tower was trained on."}
    )


_SELECTOR = ("vision_feature_select_mode", "image_seq_length")
_CONFIG = (*_SELECTOR, "selector_config", "use_prefix_lm_mask")
_BAGS = ("patches_per_wsi", "patches_block", "coords_mpp", "compat_coords_yx", "allow_other_encoder")
_IMAGES = ("image_aspect_ratio", "fast_resize")
_COMPOSE_ONLY = (
    "llm_name_or_path",
    "vision_tower",
    "vision_model_name",
    "random_vision_seed",
    "vision_config",
    "projector_path",
    "mm_projector_type",
)
_JSON = ("vision_config", "projector_config", "selector_config", "lr_mult")
_PARTS = tuple(dict.fromkeys((*_CONFIG, *_BAGS, *_IMAGES, *CONNECTOR_KEYS, *_COMPOSE_ONLY, "projector_config")))


@dataclass
class PathModelArguments(PathPluginsArguments, ModelArguments):
    """LLaMA-Factory's model arguments with ours; ends with ``model_name_or_path`` naming a real directory."""

    def __post_init__(self) -> None:
        ModelArguments.__post_init__(self)
        for name in _JSON:
            if isinstance(getattr(self, name), str):  # from a command line, where YAML has not been at it
                setattr(self, name, json.loads(getattr(self, name)))
        if self.pretrain_mm_mlp_adapter is not None:
            if self.projector_path not in (None, self.pretrain_mm_mlp_adapter):
                raise PathPluginsError(
                    f"projector_path is {self.projector_path} and pretrain_mm_mlp_adapter "
                    f"{self.pretrain_mm_mlp_adapter}, two names of one thing; remove one"
                )
            self.projector_path, self.pretrain_mm_mlp_adapter = self.pretrain_mm_mlp_adapter, None
        if self.model_name_or_path == VIRTUAL_MODEL:
            self.model_name_or_path = str(_compose(self))
        elif _set(self, _PARTS):
            self.model_name_or_path = str(_derive(self))
        # The directory has them now: a copy of these arguments (DPO makes one) asks for nothing more.
        for name in _PARTS:
            setattr(self, name, None)


def model_settings(directory: str | None) -> dict[str, Any] | None:
    """``config.json`` of a `custom_llava` directory, None for any other model."""
    path = Path(directory or "") / "config.json"
    if not path.is_file():
        return None
    config = read_json(path)
    return config if config.get("model_type") == VIRTUAL_MODEL else None


def _set(args: PathPluginsArguments, names: Any) -> dict[str, Any]:
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _compose(args: PathModelArguments) -> Path:
    from pathplugins.models.compose.compose import composed
    from pathplugins.models.compose.spec import ComposeSpec, tower_without_weights

    if args.llm_name_or_path is None:
        raise PathPluginsError(
            f"model_name_or_path: {VIRTUAL_MODEL} needs llm_name_or_path, the language model to build on"
        )
    if args.mm_use_im_start_end or args.mm_use_im_patch_token:
        raise PathPluginsError("mm_use_im_start_end and mm_use_im_patch_token are not supported; set both to false")
    connector = connector_options(vars(args))
    images = args.vision_model_name in TOWERS and reads_images(args.vision_model_name)  # ComposeSpec judges the name
    kind = args.mm_projector_type or ("scale_invariant" if images else "gamma_mlp")
    if kind == "mlp2x_gelu" and connector:
        logger.info("gamma_* or projector_dropout is set: mm_projector_type mlp2x_gelu means gamma_mlp, as published")
        kind = "gamma_mlp"
    if args.image_seq_length == 0:
        logger.warning("image_seq_length is 0: the language model sees one vision token per slide, its CLS token")
    options = _set(args, ("vision_tower", "vision_model_name", "vision_config", "random_vision_seed", "projector_path"))
    if args.vision_mode not in (None, "image" if images else "wsi"):
        tower = args.vision_model_name or "gigapath"
        raise PathPluginsError(f"vision_mode is {args.vision_mode}, which {tower} does not read; remove or correct it")
    if images:
        options.update(_image_options(args))
    else:
        options.update(_set(args, _BAGS))
    options.update(_set(args, (*_SELECTOR, "selector_config")))
    spec = ComposeSpec(
        llm=_local(args),
        mm_projector_type=kind,
        projector_config={**(args.projector_config or {}), **connector},
        keep_gamma=args.keep_gamma,
        seed=args.projector_seed,
        **options,
        **_set(args, ("use_prefix_lm_mask",)),
    )
    directory = composed(spec)
    width = tower_without_weights(read_json(directory / "config.json")["vision_config"]).hidden_size
    if args.mm_hidden_size not in (None, width):
        raise PathPluginsError(
            f"mm_hidden_size is {args.mm_hidden_size} but the vision tower gives {width}; remove or correct it"
        )
    return directory


def _image_options(args: PathModelArguments) -> dict[str, Any]:
    """Options of a composed model whose tower reads images."""
    if names := ", ".join(_set(args, _BAGS)):
        raise PathPluginsError(f"{names}: for feature bags, and {args.vision_model_name} reads images; remove the keys")
    from pathplugins.models.compose.local_copy import TOWER_FILES, local_copy

    options = _set(args, _IMAGES)
    if args.vision_tower is not None:
        options["vision_tower"] = local_copy(args.vision_tower, "vision_tower", TOWER_FILES)
    if args.mm_vision_select_layer is not None:
        options["vision_config"] = {"select_layer": args.mm_vision_select_layer, **(args.vision_config or {})}
    return options


def _derive(args: PathModelArguments) -> Path:
    from pathplugins.models.compose.view import derived

    if model_settings(args.model_name_or_path) is None:
        names = ", ".join(_set(args, _PARTS))
        raise PathPluginsError(
            f"{names}: for pathology models only, but {args.model_name_or_path} is no {VIRTUAL_MODEL} directory; "
            f"remove the keys, or set model_name_or_path: {VIRTUAL_MODEL}"
        )
    fixed = _set(args, _COMPOSE_ONLY)
    if fixed:
        raise PathPluginsError(
            f"{', '.join(fixed)}: {args.model_name_or_path} has these parts already; remove the keys, or set "
            f"model_name_or_path: {VIRTUAL_MODEL} to compose anew"
        )
    config = _set(args, _CONFIG)
    projector = connector_options(vars(args))
    if projector := {**(args.projector_config or {}), **projector}:
        config["projector_config"] = projector
    images = reads_images(model_settings(args.model_name_or_path)["vision_config"]["model_type"])
    processor = _set(args, (*_SELECTOR, *_BAGS, *_IMAGES) if images else (*_SELECTOR, *_BAGS))
    return derived(Path(args.model_name_or_path), config=config, processor=processor)


def _local(args: PathModelArguments) -> str:
    """Return the directory of the language model, downloaded by LLaMA-Factory's rules when it is a hub id."""
    from pathplugins.models.compose.local_copy import FILES, local_copy

    name = args.llm_name_or_path
    if not Path(name).is_dir():
        asked = SimpleNamespace(model_name_or_path=name, cache_dir=args.cache_dir, model_revision=args.model_revision)
        name = try_download_model_from_other_hub(asked)
    hub = {"revision": args.model_revision, "cache_dir": args.cache_dir, "token": args.hf_hub_token}
    return local_copy(name, "llm_name_or_path", FILES, **hub)


KEYS = tuple(item.name for item in fields(PathPluginsArguments))
