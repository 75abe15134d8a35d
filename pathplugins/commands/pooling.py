"""Pooling of slides: the work of ``pathdata pool`` on one bag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.content import content_print
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.data.bags import read_bag
from pathplugins.data.bags.bad_bag import BadBag
from pathplugins.data.bags.encoders import check_encoder
from pathplugins.data.bags.write_tokens import write_tokens
from pathplugins.data_tools.engine.jobs import Recipe, SlideJob, Steps, Tell
from pathplugins.data_tools.engine.outcome import Outcome, check_same_settings, recorded_settings
from pathplugins.models.towers.longnet_config import longnet_expects
from pathplugins.models.towers.pooled_tokens import ROWS, WIDTH, pooled_tokens
from pathplugins.published.slide_encoders import GIGAPATH_POOLED

SETTINGS, COUNT = "pool_settings", "tokens_pooled"  #: root attributes of what is written


@dataclass(frozen=True, kw_only=True)
class PoolRecipe(Recipe):
    """Bags to pooled tokens of a slide encoder, a file for each."""

    slide_encoder: Path
    """Its weights."""
    torch_device: str = "auto"
    rows: int = ROWS
    width: int = WIDTH
    coords_mpp: float | None = None
    """Microns per stored pixel, of bags that do not record it."""
    allow_other_encoder: bool = False
    published: bool = False
    """Write the published ``.pt`` beside each file."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """Slide id -> the folder below ``work`` that its file goes to, where it is not ``work`` itself."""

    @property
    def device(self) -> str:
        """Return the device of the encoder."""
        return self.torch_device

    def result_path(self, slide_id: str) -> Path:
        """Return the path of the pooled tokens."""
        return self.work / self.folders.get(slide_id, "") / f"{slide_id}.h5"

    def open(self, device: str | None) -> Steps:
        """Load the slide encoder and return the function that does one bag."""
        from pathplugins.encoders.encoder import torch_device
        from pathplugins.encoders.load_weights import sha256
        from pathplugins.models.towers.longnet_checkpoint import load_slide_encoder
        from pathplugins.models.towers.longnet_vit import LongNetViT

        where = torch_device(device or self.torch_device)
        config, state = load_slide_encoder(self.slide_encoder)
        if self.width < config.embed_dim:
            raise PathPluginsError(
                f"--width {self.width}: {self.slide_encoder} gives {config.embed_dim} channels; ask for as many or more"
            )
        tower = LongNetViT(config)
        tower.load_state_dict(state)
        tower.eval().requires_grad_(False).to(where)
        weights = sha256(self.slide_encoder)

        def steps(job: SlideJob, tell: Tell) -> Outcome:
            del tell
            return self._one(job, tower, where, weights)

        return steps

    def _one(self, job: SlideJob, tower: Any, where: str, weights: str) -> Outcome:
        out = self.result_path(job.slide_id)
        pt = out.with_suffix(".pt")
        settings = {
            **{"bag": content_print(job.slide), "weights_sha256": weights},
            **{"rows": self.rows, "width": self.width, "coords_mpp": self.coords_mpp},
        }
        if out.exists() and not self.overwrite:
            check_same_settings(out, found=recorded_settings(out, SETTINGS), wanted=json.dumps(settings))
            if not self.published or pt.exists():
                count = int(recorded_settings(out, COUNT, absent="0"))
                return Outcome(slide_id=job.slide_id, status="skipped", patches=count)
        tokens, count, encoder = self._pooled(job.slide, tower, where)
        if self.published:
            import torch

            with replacing(pt) as beside:
                torch.save(torch.from_numpy(tokens), beside)
        write_tokens(out, tokens, self._attributes(job.slide_id, count, tower.hidden_size, encoder, settings))
        return Outcome(slide_id=job.slide_id, status="done", patches=count)

    def _pooled(self, path: Path, tower: Any, where: str) -> tuple[np.ndarray, int, str | None]:
        """Return the rows [rows, width] float32, the number of patches and the patch encoder that the bag names."""
        import torch

        contract = longnet_expects(vars(tower.config))
        bag = read_bag(path, coords_mpp=self.coords_mpp, frame_mpp=contract.frame_mpp)
        if bag.info.width != contract.feature_dim:
            raise BadBag(
                f"{path}: features are {bag.info.width} wide, expected {contract.feature_dim}, as {self.slide_encoder} "
                "takes them; extract the slide with its patch encoder",
                reason="wrong feature width",
            )
        check_encoder(bag.info, None if self.allow_other_encoder else contract.expects_encoder)
        count = bag.info.rows
        with torch.inference_mode():
            features, coords = (torch.from_numpy(value).to(where) for value in (bag.features, bag.coords_xy))
            tokens = tower.unnormed(features, coords, torch.tensor([count]))  # [N, C]
            rows = pooled_tokens(tokens, tower.norm, rows=self.rows, width=self.width)
        return rows.float().cpu().numpy(), count, bag.info.encoder

    def _attributes(
        self, slide_id: str, count: int, channels: int, encoder: str | None, settings: dict[str, Any]
    ) -> dict[str, str | int | float]:
        return {
            "slide_id": slide_id,
            "encoder": f"{GIGAPATH_POOLED}-{self.rows}",
            "tokens_of": "slide encoder, behind its last layer, without the class token, pooled in tile order, normed",
            COUNT: count,
            "zero_channels": self.width - channels,
            **({} if encoder is None else {"patch_encoder": encoder}),
            SETTINGS: json.dumps(settings),
        }
