"""Every module has its test at the same path, or a line here that says which test of a topic serves it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SMALL = 20
"""Lines up to which a module needs no test of its own."""
OWN_SHARE = 0.85
ROWS = ROOT / "pathplugins" / "published" / "systems"
"""Holds data alone, a published system each, which one test reads."""

SERVED_BY: dict[str, str] = {
    "pathplugins/__init__.py": "tests/test_python_api.py",
    "pathplugins/classify/callbacks.py": "tests/classify/test_trainer.py",
    "pathplugins/classify/networks/build.py": "tests/classify/test_runs.py",
    "pathplugins/classify/recipes.py": "tests/classify/test_objectives.py",
    "pathplugins/classify/train.py": "tests/commands/classify/test_train.py",
    "pathplugins/commands/asked_file.py": "tests/commands/test_ask.py",
    "pathplugins/commands/chat_session.py": "tests/commands/test_chat.py",
    "pathplugins/commands/pooling.py": "tests/commands/test_pool.py",
    "pathplugins/commands/probe_bags.py": "tests/commands/test_probe.py",
    "pathplugins/commands/serve/batch.py": "tests/commands/serve/test_engine.py",
    "pathplugins/commands/serve/asked_files.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/completions.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/gate.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/metrics.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/refusals.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/replies.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/server.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/upload_routes.py": "tests/commands/serve/test_init.py",
    "pathplugins/commands/serve/state.py": "tests/commands/serve/test_app.py",
    "pathplugins/commands/classify/__init__.py": "tests/commands/classify/test_train.py",
    "pathplugins/classify/scoring/cases.py": "tests/classify/scoring/test_evaluation.py",
    "pathplugins/classify/scoring/metric_names.py": "tests/classify/scoring/test_report.py",
    "pathplugins/commands/demo/__init__.py": "tests/commands/demo/test_wsi.py",
    "pathplugins/commands/demo/pallava.py": "tests/commands/demo/test_wsi.py",
    "pathplugins/commands/demo/pathgen.py": "tests/commands/demo/test_wsi.py",
    "pathplugins/commands/report/comparison.py": "tests/commands/report/test_init.py",
    "pathplugins/commands/report/html.py": "tests/commands/report/test_init.py",
    "pathplugins/commands/report/results.py": "tests/commands/report/test_init.py",
    "pathplugins/commands/report/worst.py": "tests/commands/report/test_init.py",
    "pathplugins/commands/serve/shown.py": "tests/commands/serve/test_overlays.py",
    "pathplugins/core/errors.py": "tests/test_cli.py",
    "pathplugins/core/hosts/llamafactory.py": "tests/core/test_hosts.py",
    "pathplugins/core/hosts/xtuner.py": "tests/core/test_hosts.py",
    "pathplugins/data/bags/contract.py": "tests/models/towers/test_contract.py",
    "pathplugins/data/bags/attributes.py": "tests/data/bags/test_init.py",
    "pathplugins/data/bags/layout.py": "tests/data/bags/test_init.py",
    "pathplugins/data/bags/shapes.py": "tests/data/bags/test_init.py",
    "pathplugins/data/turn_formats/__init__.py": "tests/data/turn_formats/test_turn_format.py",
    "pathplugins/data/turn_formats/jinja.py": "tests/data/turn_formats/test_encode.py",
    "pathplugins/llamafactory/epoch_clock.py": "tests/llamafactory/test_mm_plugin.py",
    "pathplugins/llamafactory/keys.py": "tests/llamafactory/test_arguments.py",
    "pathplugins/llamafactory/llava_template.py": "tests/llamafactory/test_pathgen.py",
    "pathplugins/llamafactory/preference_images.py": "tests/llamafactory/test_stage_trainers.py",
    "pathplugins/llamafactory/run_conditions.py": "tests/llamafactory/test_checkpoints.py",
    "pathplugins/llamafactory/templates.py": "tests/llamafactory/test_register.py",
    "pathplugins/llamafactory/trainer.py": "tests/llamafactory/test_stages.py",
    "pathplugins/llamafactory/trainers/kto.py": "tests/llamafactory/test_stage_trainers.py",
    "pathplugins/llamafactory/trainers/rm.py": "tests/llamafactory/test_stage_trainers.py",
    "pathplugins/llamafactory/trainers/sft.py": "tests/llamafactory/test_stages.py",
    "pathplugins/models/connectors/__init__.py": "tests/models/connectors/test_mlp.py",
    "pathplugins/models/custom_llava/configuration_custom_llava.py": "tests/models/custom_llava/test_auto.py",
    "pathplugins/models/foreign/importing.py": "tests/models/foreign/llava/test_read.py",
    "pathplugins/models/foreign/language_model.py": "tests/models/foreign/llava/test_read.py",
    "pathplugins/models/learning_rates.py": "tests/xtuner/test_optim.py",
    "pathplugins/models/selectors/__init__.py": "tests/models/selectors/test_selectors.py",
    "pathplugins/models/selectors/base.py": "tests/models/selectors/test_selectors.py",
    "pathplugins/models/selectors/even.py": "tests/models/selectors/test_selectors.py",
    "pathplugins/models/selectors/k_means.py": "tests/models/selectors/test_selectors.py",
    "pathplugins/models/selectors/prompt_topk.py": "tests/models/selectors/test_selectors.py",
    "pathplugins/models/selectors/prumerge.py": "tests/models/selectors/test_selectors.py",
    "pathplugins/models/selectors/random_sample.py": "tests/models/selectors/test_selectors.py",
    "pathplugins/models/unloaded.py": "tests/llamafactory/test_rates.py",
    "pathplugins/models/towers/abmil_config.py": "tests/models/towers/test_abmil.py",
    "pathplugins/weights/names/abmil.py": "tests/models/towers/test_abmil_checkpoint.py",
    "pathplugins/models/towers/build.py": "tests/models/towers/test_longnet_vit.py",
    "pathplugins/models/towers/dilated_attention.py": "tests/models/towers/test_longnet_vit.py",
    "pathplugins/models/towers/__init__.py": "tests/models/towers/test_contract.py",
    "pathplugins/weights/names/pathosynvlm.py": "tests/models/foreign/pathosynvlm/test_read.py",
    "pathplugins/xtuner/loop.py": "tests/xtuner/test_resume.py",
    "pathplugins/xtuner/templates.py": "tests/xtuner/test_pathgen.py",
    "pathplugins/xtuner/texts.py": "tests/xtuner/test_datasets.py",
    "data_tools/cleaning/kept_rows.py": "tests/data_tools/commands/test_clean.py",
    "data_tools/cleaning/pairs.py": "tests/data_tools/commands/test_clean.py",
    "data_tools/cleaning/parts.py": "tests/data_tools/commands/test_clean.py",
    "data_tools/cleaning/published.py": "tests/data_tools/commands/test_clean.py",
    "data_tools/cleaning/score.py": "tests/data_tools/commands/test_clean.py",
    "data_tools/cleaning/table.py": "tests/data_tools/commands/test_clean.py",
    "data_tools/records/writers/llava.py": "tests/data_tools/records/writers/test_writers.py",
    "data_tools/records/writers/record.py": "tests/data_tools/records/writers/test_writers.py",
    "data_tools/records/writers/sharegpt.py": "tests/data_tools/records/writers/test_writers.py",
    "data_tools/records/writers/slidechat.py": "tests/data_tools/records/writers/test_writers.py",
    "data_tools/records/writers/target.py": "tests/data_tools/records/writers/test_writers.py",
    "data_tools/records/writers/wsi_bench.py": "tests/data_tools/records/writers/test_writers.py",
    "data_tools/records/writers/wsi_csv.py": "tests/data_tools/records/writers/test_writers.py",
    "data_tools/slide_images/match.py": "tests/data_tools/slide_images/test_convert.py",
    "data_tools/slide_images/pictures.py": "tests/data_tools/slide_images/test_convert.py",
    "data_tools/slide_images/write.py": "tests/data_tools/slide_images/test_convert.py",
    "data_tools/slides/search.py": "tests/data_tools/slides/test_find.py",
    "data_tools/slides/readers/czi.py": "tests/data_tools/slides/readers/test_table.py",
    "data_tools/slides/readers/dicom.py": "tests/data_tools/slides/readers/test_table.py",
    "data_tools/slides/readers/ome_zarr.py": "tests/data_tools/slides/readers/test_table.py",
    "data_tools/slides/readers/tiff.py": "tests/data_tools/slides/readers/test_table.py",
    "data_tools/slides/readers/tiff_pages.py": "tests/data_tools/slides/readers/test_opening.py",
}
"""Module -> the topic test that serves it, because that test needs what the module alone has not: a trainer's process,
a whole run, several formats side by side."""


def modules() -> list[str]:
    """Modules of both packages above ``SMALL`` lines, as paths from the root; a system is a row of a table."""
    found = [path for top in ("pathplugins", "data_tools") for path in sorted((ROOT / top).rglob("*.py"))]
    return [
        path.relative_to(ROOT).as_posix()
        for path in found
        if len(path.read_text(encoding="utf-8").splitlines()) > SMALL
        and (path.parent != ROWS or path.stem == "__init__")
    ]


def own_test(module: str) -> Path:
    """Return where the test of a module lies; that of a package's ``__init__`` is ``test_init.py``.

    ``pathplugins/a/b.py`` -> ``tests/a/test_b.py``, ``data_tools/a/b.py`` -> ``tests/data_tools/a/test_b.py``.
    """
    path = Path(module)
    folder = Path(*path.parent.parts[1:]) if path.parts[0] == "pathplugins" else path.parent
    return ROOT / "tests" / folder / f"test_{'init' if path.stem == '__init__' else path.stem}.py"


MODULES = modules()


def test_modules_were_found() -> None:
    assert len(MODULES) >= 250


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test(module: str) -> None:
    assert own_test(module).is_file() or module in SERVED_BY, f"write {own_test(module).relative_to(ROOT)}"


@pytest.mark.parametrize("module", SERVED_BY)
def test_the_table_is_true(module: str) -> None:
    assert module in MODULES
    assert not own_test(module).is_file(), "it has a test of its own: take the line out"
    topic = ROOT / SERVED_BY[module]
    assert topic.is_file(), topic


def test_most_modules_have_their_own() -> None:
    own = [module for module in MODULES if own_test(module).is_file()]
    assert len(own) / len(MODULES) >= OWN_SHARE, f"{len(own)} of {len(MODULES)}"
