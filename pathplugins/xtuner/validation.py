"""Everything about a config of XTuner that can be looked at before a model is loaded, in one report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.core.disks import check_writable
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.findings import Finding, any_wrong, findings
from pathplugins.xtuner.configs import check_agreement, dataset_configs, read_config

_MODEL = "PathologyLLaVAModel"


def validate(config: Path) -> list[Finding]:
    """Return what is found: the model that is named, what is trained in it, where it is written, every sample.

    Raises:
        PathPluginsError: it is no config for a model of ours.
    """
    cfg = read_config(config)
    if _MODEL not in str(cfg.get("model", {}).get("type")):
        raise PathPluginsError(f"{config}: its model is no {_MODEL}; give a config that trains one of ours")
    work = cfg.get("work_dir") or f"work_dirs/{config.stem}"
    found = findings([("model", lambda: check_agreement(cfg)), ("work_dir", lambda: check_writable(Path(work)))])
    if any_wrong(found):
        return found
    later = [("trained parts", lambda: _check_trained(cfg.model)), ("samples", lambda: _make_samples(cfg))]
    if any(hook.get("data_path") for hook in _evaluations(cfg)):
        later.append(("held-out samples", lambda: _make_held_out(cfg)))
    return [*found, *findings(later)]


def _check_trained(model: Any) -> None:
    """Look up on the meta device what `PathologyLLaVAModel` is told to train."""
    import inspect

    from pathplugins.xtuner.model import PathologyLLaVAModel, check_before_loading, frozen_parts

    known = inspect.signature(PathologyLLaVAModel.__init__).parameters
    usual = {name: parameter.default for name, parameter in known.items() if parameter.kind is parameter.KEYWORD_ONLY}
    given = {name: value for name, value in model.items() if name not in ("type", "llm")}
    if unknown := sorted(given.keys() - usual.keys()):
        raise PathPluginsError(f"model: unknown options {', '.join(unknown)}; known are {', '.join(usual)}")
    options = {**usual, **given}
    frozen = frozen_parts(options["freeze_visual_encoder"], options["freeze_projector"])
    names = ("freeze_llm", "llm_lora", "pretrained_pth", "lr_mult")
    check_before_loading(model["llm"], frozen, *(options[name] for name in names))


def _make_samples(cfg: Any) -> None:
    """Read, check and tokenize the samples as the run would, which finds them in the cache."""
    from pathplugins.xtuner.concat import PathologyDatasets

    PathologyDatasets([{**part, "check_workers": part.get("check_workers", 8)} for part in dataset_configs(cfg)])


def _evaluations(cfg: Any) -> list[Any]:
    from pathplugins.xtuner.evaluation import HOOK

    return [hook for hook in cfg.get("custom_hooks") or [] if HOOK in str(hook.get("type"))]


def _make_held_out(cfg: Any) -> None:
    """Likewise for the samples that `EvaluationHook` is given."""
    from pathplugins.xtuner.concat import PathologyDatasets
    from pathplugins.xtuner.evaluation import held_out

    PathologyDatasets([held_out(cfg, hook) for hook in _evaluations(cfg) if hook.get("data_path")])
