"""The YAML keys pathplugins adds to LLaMA-Factory, as one dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal  # HfArgumentParser evaluates the annotations

from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers import TOWERS


# A bare `dict`, no Dict[str, Any]: typing hands out the order (str, dict) where another module has written that before,
# and HfArgumentParser then asks whether None is an instance of the second.
@dataclass
class PathPluginsArguments:
    """Parts, options and data rules of pathology models."""

    llm_name_or_path: str | None = field(
        default=None, metadata={"help": "Language model: directory or hub id of a causal LM in safetensors."}
    )
    processor_name_or_path: str | None = field(
        default=None,
        metadata={"help": "Accepted as published; bags need none and image towers bring theirs, so it is not read."},
    )
    vision_tower: str | None = field(
        default=None,
        metadata={"help": "Its weights: slide_encoder.pth of prov-gigapath, a CLIP, PLIP or patch encoder directory."},
    )
    vision_model_name: str | None = field(default=None, metadata={"help": f"Which tower: {', '.join(TOWERS)}."})
    vision_mode: Literal["wsi", "image"] | None = field(
        default=None, metadata={"help": "wsi: the image is a feature bag; image: it is a picture. Checked only."}
    )
    vision_config: dict | str | None = field(
        default=None, metadata={"help": "Options of the tower; its size when it is untrained."}
    )
    random_vision_seed: int | None = field(
        default=None, metadata={"help": "Seed of an UNTRAINED tower, for smoke tests without weights."}
    )
    mm_projector_type: str | None = field(
        default=None,
        metadata={
            "help": f"Connector: {', '.join(CONNECTORS)}. With gamma_* keys, mlp2x_gelu is gamma_mlp, as published."
        },
    )
    projector_config: dict | str | None = field(
        default=None, metadata={"help": "Options of the connector by their own names, e.g. projector_depth."}
    )
    mm_hidden_size: int | None = field(default=None, metadata={"help": "Width of the tower; checked, never assumed."})
    mm_vision_select_layer: int | None = field(
        default=None, metadata={"help": "Layer of an image tower (-2). A slide encoder gives its output, as published."}
    )
    mm_vision_select_feature: str | None = field(
        default=None, metadata={"help": "Accepted as published; for image towers."}
    )
    mm_patch_merge_type: str | None = field(default=None, metadata={"help": "Accepted as published; for image towers."})
    mm_use_im_start_end: bool = field(default=False, metadata={"help": "Accepted as published; must be false."})
    mm_use_im_patch_token: bool = field(default=False, metadata={"help": "Accepted as published; must be false."})
    image_aspect_ratio: str | None = field(
        default=None,
        metadata={"help": "Image towers: anyres (thumbnail and tiles), pad (one square), square (middle)."},
    )
    fast_resize: bool | None = field(
        default=None, metadata={"help": "Image towers: resize as tensors, faster; pixels differ a little."}
    )
    vision_feature_select_mode: str | None = field(
        default=None,
        metadata={"help": f"Token selector: {', '.join(SELECTORS)}."},
    )
    selector_config: dict | str | None = field(
        default=None, metadata={"help": "Options of the token selector by their own names, e.g. k_per_token."}
    )
    image_seq_length: int | None = field(
        default=None,
        metadata={"help": "Vision tokens per bag or image at most, CLS not counted; 0: the slide's CLS token alone."},
    )
    patches_per_wsi: int | None = field(default=None, metadata={"help": "Rows read from a bag at most (2048)."})
    patches_sampling: str | None = field(
        default=None, metadata={"help": "Which rows of a larger bag: random (as usual), linspace (evenly) or first."}
    )
    patches_per_case: int | None = field(
        default=None, metadata={"help": "Rows read of all bags of a sample at most, where it has several."}
    )
    case_shares: str | None = field(
        default=None,
        metadata={"help": "How they are shared: even (as usual), or in_order, slide by slide with one row at least."},
    )
    patches_block: int | None = field(
        default=None, metadata={"help": "Rows drawn next to each other (1); 64 suits storage that is slow to seek."}
    )
    projector_dropout: float | None = field(default=None, metadata={"help": "Dropout of gamma_mlp."})
    gamma_init: float | None = field(
        default=None, metadata={"help": "First scale of gamma_mlp; the middle of its bounds."}
    )
    gamma_min: float | None = field(default=None, metadata={"help": "Lower bound of the scale of gamma_mlp."})
    gamma_max: float | None = field(default=None, metadata={"help": "Upper bound of the scale of gamma_mlp."})
    projector_path: str | None = field(
        default=None,
        metadata={"help": "Trained connector: mm_projector.bin, safetensors or the output directory of stage 2."},
    )
    pretrain_mm_mlp_adapter: str | None = field(
        default=None, metadata={"help": "What LLaVA calls projector_path; give one of the two."}
    )
    keep_gamma: bool = field(
        default=False,
        metadata={"help": "With other bounds than at training, keep the trained scale instead of its logit."},
    )
    lr_mult: dict | str | None = field(
        default=None,
        metadata={"help": "Part of a weight's name -> factor of its learning rate: {multi_modal_projector: 0.5}."},
    )
    projector_seed: int = field(default=42, metadata={"help": "Seed of a fresh connector."})
    use_prefix_lm_mask: bool | None = field(
        default=None, metadata={"help": "Vision tokens and prompt attend in both directions."}
    )
    joint_lora: dict | str | None = field(
        default=None,
        metadata={
            "help": "With finetuning_type: full, low-rank weights trained beside the language model's own, at a rate "
            "of their own (lr_mult: {joint_lora: 4}): {rank: 16, alpha: 32, dropout: 0.05, target: [q_proj]}."
        },
    )
    do_sanity_check: bool = field(
        default=False, metadata={"help": "Repeat each evaluation without vision and log eval_sanity_check_loss."}
    )
    group_by_modality_length: bool = field(
        default=False,
        metadata={"help": "Batches of samples with images, or of text alone, that are about as long, as in LLaVA."},
    )
    filter_by_data_source: str | None = field(
        default=None, metadata={"help": "Keep rows of this data_source (case does not matter)."}
    )
    on_bad_sample: Literal["error", "skip"] = field(
        default="error", metadata={"help": "Stop before training, or train on the rest and write the report."}
    )
    check_features: bool = field(
        default=True,
        metadata={"help": "Read every bag once before training and look for NaN; remembered between runs."},
    )
    coords_mpp: float | None = field(
        default=None, metadata={"help": "Microns per pixel of the coordinates of bags that do not record it."}
    )
    compat_coords_yx: bool | None = field(
        default=None, metadata={"help": "Give the tower (y, x) as the published code does; transposes the slide."}
    )
    allow_other_encoder: bool | None = field(
        default=None, metadata={"help": "Take bags of another patch encoder than the one the tower was trained on."}
    )
    slide_options: dict | str | None = field(
        default=None,
        metadata={"help": "In chat, api and webchat, how a slide becomes a bag: {encoder_weights: FILE}, as in `ask`."},
    )


KEYS = tuple(item.name for item in fields(PathPluginsArguments))
