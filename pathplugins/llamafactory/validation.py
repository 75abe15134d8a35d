"""Everything about a YAML that a run of LLaMA-Factory looks at before it loads its model, in one report."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pathplugins.core.disks import check_writable
from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.core.findings import Finding, any_wrong, findings

_RUNS = ("do_train", "do_eval", "do_predict")
_OF_THE_MACHINE = ("samples of a step", "processes", "bf16", "fp16")
"""Conditions of a run that another number of processes, or a machine with another GPU, changes."""


class _Loading(Exception):
    """All checks have passed: a run would load its model now."""


def validate(config: Path, overrides: Sequence[str] = ()) -> list[Finding]:
    """Return what the checks of a run find, each check that can be made without those before it.

    The directory of a model that is composed is made, once, as the run would; samples are tokenized and cached.

    Args:
        config: a YAML for ``train``, ``chat``, ``api``, ``webchat`` or ``export``.
        overrides: ``key=value``, as after the YAML on a command line.

    Raises:
        PathPluginsError: it is no configuration for a model of ours.
    """
    with _command_line(config, overrides):
        from llamafactory.hparams import parser

        from pathplugins.llamafactory.yaml_files import checks, is_ours

        values = _read(parser, config)
        if not is_ours(values):
            raise PathPluginsError(
                f"{config} names no model of this package (model_name_or_path: {values.get('model_name_or_path')}); "
                "give a configuration that trains or asks one"
            )
        parts = itertools.groupby(checks(values, parser, str(config)), lambda check: check[0] in ("keys", "values"))
        found: list[Finding] = []
        for _, part in parts:
            found += findings(part)
            if any_wrong(found):
                break
        if any_wrong(found):
            judged = found[-1].about not in ("keys", "values")  # which the arguments about the model take for granted
            return [*found, _arguments(_model_arguments, values)[0]] if judged else found
        if not any(values.get(name) for name in _RUNS):
            return [*found, _arguments(parser.get_infer_args, values)[0]]
        finding, arguments = _arguments(parser.get_train_args, values)
        return [*found, finding, *(_run(arguments) if arguments else [])]


def _read(parser: Any, config: Path) -> dict[str, Any]:
    import yaml
    from omegaconf.errors import OmegaConfBaseException

    from pathplugins.llamafactory.yaml_files import read_unchecked

    original = getattr(parser.read_args, "__wrapped__", None)
    if original is None:
        raise PathPluginsError("pathplugins is not registered in LLaMA-Factory here; see `pathplugins doctor`")
    try:
        values, _ = read_unchecked(parser, original)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise PathPluginsError(f"{config} cannot be read as YAML: {error}") from error
    except TypeError as error:  # of OmegaConf, for a list
        raise PathPluginsError(f"{config} holds something else than keys and values: {error}") from error
    return dict(values)


def _arguments(get: Callable[..., Any], values: dict[str, Any]) -> tuple[Finding, Any]:
    """Return the arguments of a run; LLaMA-Factory and Transformers refuse in errors of several kinds."""
    try:
        return Finding("arguments"), get(dict(values))
    except (ValueError, ImportError, RuntimeError, OSError) as error:
        return Finding("arguments", str(error).strip()), None


def _model_arguments(values: dict[str, Any]) -> Any:
    """Return the arguments about the model alone, for which it is composed: its parts are looked up."""
    from pathplugins.llamafactory.arguments import PathModelArguments

    names = {item.name for item in dataclasses.fields(PathModelArguments) if item.init}
    return PathModelArguments(**{name: value for name, value in values.items() if name in names})


def _run(arguments: Any) -> list[Finding]:
    """Return what a run with these arguments would find before it loads its model."""
    from pathplugins.llamafactory.stage_runs import checks
    from pathplugins.llamafactory.stage_table import STAGES

    model_args, data_args, training_args, finetuning_args, generating_args = arguments
    stage = finetuning_args.stage
    found = findings(checks(stage, model_args, data_args, training_args, finetuning_args))
    found += findings([("output_dir", lambda: check_writable(Path(training_args.output_dir)))])
    if STAGES[stage].refused:
        return found
    rest = (generating_args,) if stage == "sft" else ()

    def samples() -> None:
        _until_loading(stage, model_args, data_args, training_args, finetuning_args, *rest)

    found += findings([("samples", samples)])
    if found[-1].said and model_args.on_bad_sample == "error":
        model_args.on_bad_sample = "skip"  # what is wrong with the other rows
        again = findings([("the other samples", samples)])
        found += [finding for finding in again if finding.said.splitlines()[:1] != found[-1].said.splitlines()[:1]]
    return found


def _until_loading(stage: str, model_args: Any, data_args: Any, training_args: Any, *rest: Any) -> None:
    """Run a stage of LLaMA-Factory, with our checks in it, up to the line that loads the model."""
    from pathplugins.llamafactory.stage_runs import in_a_run_of_ours, in_the_place_of_theirs

    workflow = importlib.import_module(f"llamafactory.train.{stage}.workflow")
    run = getattr(workflow, f"run_{stage}").__wrapped__

    def load_model(*args: Any, **named: Any) -> None:
        raise _Loading

    ours = in_a_run_of_ours(workflow, stage, model_args, data_args, training_args, rest[0], uncompared=_OF_THE_MACHINE)
    try:
        with ours as packed, in_the_place_of_theirs(workflow, {"load_model": load_model}):
            run(model_args, packed, training_args, *rest)
    except _Loading:
        return
    except BadSamplesError:
        raise
    except (ValueError, OSError) as error:  # of LLaMA-Factory, about its own formats
        raise PathPluginsError(str(error)) from error


@contextlib.contextmanager
def _command_line(config: Path, overrides: Sequence[str]) -> Iterator[None]:
    """Let LLaMA-Factory read this command line within the block."""
    words, sys.argv = sys.argv, ["llamafactory-cli", str(config), *overrides]
    try:
        yield
    finally:
        sys.argv = words
