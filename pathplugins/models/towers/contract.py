"""Facts about a kind of vision tower that are known before one is built; imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import loaded
from pathplugins.data.bags.contract import BagContract


@dataclass(frozen=True, kw_only=True)
class Tower:
    """One kind of vision tower: an entry of `pathplugins.models.towers.TOWERS`.

    Functions may be given as ``"package.module:function"``, which is imported when it is called for: the processor and
    the check of the data ask what a tower expects, and neither needs torch for that.
    """

    reads: Literal["bags", "images"]
    """Feature bags of slides, or image files."""
    build_with: str | Callable[[dict[str, Any]], Any]
    """``build(options) -> nn.Module`` with random weights.

    The module has ``hidden_size`` (width of its tokens), ``reads`` and ``config`` (``vars`` of it are all options). One
    that reads images has ``tile_size`` and ``tokens_per_tile`` too, ``preprocess`` where its pictures are not prepared
    as CLIP's, and is called with tiles ``[T, 3, S, S]``; one that reads bags is called with features ``[sum N, D]``,
    positions (x, y) ``[sum N, 2]`` and counts ``[I]``. Both return the class tokens ``[I, C]`` and the tokens,
    ``[sum N, C]`` or ``[T, N, C]``; one that reads bags and has ``slide_token = False`` returns None for the first. For
    selectors that rank by attention it has ``attend``, which returns a `ClsAttention` besides, and ``looking(layer)``,
    which raises where there is none to look at.
    """
    expects_with: str | Callable[[Mapping[str, Any]], BagContract] | None = None
    """``expects(options) -> BagContract``, for towers that read bags."""
    what: str = ""
    """The tower in a few words, for tables: what it takes, and what it gives."""
    starts_fresh: bool = False
    """Needs no weights: it has none, or is trained from its first ones, which are drawn with the seed of the model."""
    weights_with: str | Callable[[str, dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]] | None = None
    """``read(path, options) -> (all options, state dict)``, which refuses incomplete weights; None reads none."""

    def build(self, options: Mapping[str, Any]) -> Any:
        """Build the tower, an ``nn.Module`` with random weights, from the options of ``vision_config``."""
        return loaded(self.build_with)(dict(options))

    def expects(self, options: Mapping[str, Any]) -> BagContract:
        """Return what a tower with these options expects of a bag; the options may be incomplete."""
        if self.expects_with is None:
            raise PathPluginsError(
                f"a tower that reads {self.reads} says nothing of bags; give it expects_with= if it reads them"
            )
        return loaded(self.expects_with)(options)

    def read_weights(self, path: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read the tower's weights; return all options and the state dict."""
        if self.weights_with is None:
            raise PathPluginsError(
                f"vision_tower: {path} cannot be read, as this tower names no reader of weights; remove vision_tower "
                "and set random_vision_seed, or give the tower weights_with="
            )
        return loaded(self.weights_with)(path, dict(options))
