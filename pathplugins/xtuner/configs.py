"""Configs of XTuner: how they are read outside of ``xtuner train``, and which data sets they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pathplugins.core.errors import MissingDependencyError, PathPluginsError

CHAT_HOOK = "PathologyChatHook"
"""Class that a config names in ``custom_hooks`` to ask its model; it may name the words to ask in."""
_WORDS = ("prompt_template", "system")


def read_config(path: Path) -> Any:
    """Read the config at ``path`` as ``xtuner train`` would.

    Raises:
        MissingDependencyError: XTuner is not installed here.
        PathPluginsError: There is no such file.
    """
    try:
        import xtuner.registry  # noqa: F401 - what a config names is looked up there
        from mmengine.config import Config
    except ImportError as error:
        raise MissingDependencyError(
            f"XTuner is needed to read its configs: pip install 'xtuner[deepspeed]' ({error})"
        ) from error
    if not path.is_file():
        raise PathPluginsError(
            f"{path} does not exist; give an XTuner config, e.g. one that `pathplugins configs copy` brings"
        )
    return Config.fromfile(str(path))


def dataset_configs(cfg: Any) -> list[Any]:
    """Return what a training config says of each of its data sets: one, or those of `PathologyDatasets`.

    Raises:
        PathPluginsError: The data sets stand in a list, which MMEngine takes for the samples themselves.
    """
    dataset = cfg.get("train_dataloader", {}).get("dataset", {})
    if isinstance(dataset, Sequence):
        raise PathPluginsError(
            f"train_dataloader.dataset is a list of {len(dataset)}; write several data sets as "
            "dataset=dict(type=PathologyDatasets, datasets=[...]), and above "
            "`from pathplugins.xtuner.concat import PathologyDatasets`"
        )
    return _parts(dataset)


def words_of(cfg: Any) -> dict[str, Any]:
    """Return ``model``, ``prompt_template`` and ``system`` in which a model of this config is asked, None where absent.

    Those of its training data. A data set that does not say is passed over; where several say different things,
    `PathologyChatHook` of the config must name the one to ask in.

    Raises:
        PathPluginsError: It does not, or the data sets are made for different models.
    """
    from pathplugins.xtuner.parts import as_text

    parts = dataset_configs(cfg)
    if len({as_text(part.get("model")) for part in parts}) > 1:
        raise PathPluginsError(
            f"train_dataloader: the {len(parts)} data sets name different models; write model=parts in each of them"
        )
    words: dict[str, Any] = {"model": parts[0].get("model")}
    named = _chat_hook(cfg)
    for name in _WORDS:
        values = {as_text(part.get(name)): part.get(name) for part in parts if part.get(name)}
        words[name] = next(iter(values.values()), None)
        if len(values) > 1:
            if named.get(name) is None:
                raise PathPluginsError(
                    f"train_dataloader: the {len(parts)} data sets have different values of {name}, and the model is "
                    f"asked in one of them; name it in the hook: custom_hooks[0].update({name}=...)"
                )
            words[name] = named[name]
    return words


def check_agreement(cfg: Any) -> None:
    """Raise where a config says one thing in two places, and not the same: the model, and the size of a batch."""
    from pathplugins.xtuner.parts import model_directory

    loader, named = cfg.train_dataloader, {"train_dataloader.dataset": words_of(cfg)["model"]}
    named["train_dataloader.collate_fn"] = (loader.get("collate_fn") or {}).get("model")
    named["model.llm"] = cfg.model.get("llm", {}).get("model")
    directories = {place: model_directory(model) for place, model in named.items() if model is not None}
    if len(set(directories.values())) > 1:
        said = "; ".join(f"{place} is {directory}" for place, directory in directories.items())
        raise PathPluginsError(f"the config names different models: {said}; write model=parts in each of them")
    sampler = loader.get("sampler") or {}
    for name in ("batch_size", "per_device_batch_size"):
        if sampler.get(name, loader.batch_size) != loader.batch_size:
            raise PathPluginsError(
                f"train_dataloader: batch_size is {loader.batch_size} and its sampler groups {sampler[name]}; write "
                f"train_dataloader.sampler.{name}={loader.batch_size}"
            )


def iterations_of_step(cfg: Any) -> int:
    """Return after how many iterations the optimizer steps; ``--deepspeed`` moves the number to another place."""
    if strategy := cfg.get("strategy"):
        return strategy.get("gradient_accumulation_steps") or 1
    return cfg.optim_wrapper.get("accumulative_counts", 1)


def _parts(dataset: Any) -> list[Any]:
    inner = dataset.get("datasets")
    return [dataset] if inner is None else [part for one in inner for part in _parts(one)]


def _chat_hook(cfg: Any) -> Mapping[str, Any]:
    """Return the options of the hook that asks; its type is a class, or a dotted name in a config written down."""
    hooks = cfg.get("custom_hooks") or []
    return next((hook for hook in hooks if CHAT_HOOK in str(hook.get("type"))), {})
