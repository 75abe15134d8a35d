"""``pathplugins ablate``: ask every question with and without its picture: do the answers come from there?"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from pathplugins.commands import evaluation_options
from pathplugins.commands.blinding import CONDITIONS, REAL, blinded, mean_token, shown
from pathplugins.commands.evaluate import write_scores
from pathplugins.commands.evaluation_options import EvaluationOptions
from pathplugins.commands.question_runs import Processes, answered, ask_share, load, processes, versions
from pathplugins.commands.questions import Checked, Prepared, begun, check
from pathplugins.core.files import write_json
from pathplugins.data.scoring.paired import MAIN, difference, per_question, unchanged
from pathplugins.data.scoring.tables import table_of_conditions
from pathplugins.data.scoring.terms import Terms

ABLATION = "ablation.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    evaluation_options.add_arguments(parser)
    others = [name for name in CONDITIONS if name != REAL]
    said = "; ".join(f"{name}: {text}" for name, text in CONDITIONS.items() if name != REAL)
    parser.add_argument(
        "--conditions", nargs="+", choices=others, default=others, metavar="NAME", help=f"{said}; default all"
    )


def run(args: argparse.Namespace) -> int:
    """Check everything once, ask under each condition what is not yet answered, compare with the real pictures."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("pathplugins").setLevel(logging.INFO)
    options = EvaluationOptions.of(args)
    terms = options.clinical_terms()
    names = [REAL, *(name for name in CONDITIONS if name in args.conditions)]
    with processes() as here:
        test, plan = here.shared(lambda: _planned(options, names))
        _ask(options, test, plan, here)
    if here.rank == 0:
        told = _compared(options, plan, terms)
        write_json(options.out / ABLATION, told)
        sys.stdout.write(f"{table_of_conditions(told)}\n{options.out / ABLATION}\n")
    return 0


def _planned(options: EvaluationOptions, names: list[str]) -> tuple[Checked, dict[str, Prepared]]:
    """Return the checked test set, and the questions of each condition, whose folder is begun or continued."""
    test = check(options.model, options.adapter, options.test, options.out, options.settings())
    asked = {name: shown(name, test.questions) for name in names}
    plan = {}
    for name, questions in asked.items():
        settings = {**test.settings, "vision": name}
        plan[name] = begun(test._replace(questions=questions, settings=settings), options.out / name)
    return test, plan


def _ask(options: EvaluationOptions, test: Checked, plan: dict[str, Prepared], here: Processes) -> None:
    if not any(prepared.open for prepared in plan.values()):
        return
    model = load(options, here)
    for name, prepared in plan.items():
        if not prepared.open:
            continue
        logging.getLogger(__name__).info("%s: %s", name, CONDITIONS[name])
        folder = options.out / name

        def mean(folder: Path = folder) -> Any:
            return mean_token(model, test.questions, folder, write=here.rank == 0)

        with blinded(model, name, mean):
            ask_share(model, options, prepared.open, folder, here)


def _compared(options: EvaluationOptions, plan: dict[str, Prepared], terms: Terms | None) -> dict[str, Any]:
    """Score each condition, and the real pictures against it."""
    task, labels = options.test.task, plan[REAL].labels
    lines = {name: answered(options.out / name, prepared) for name, prepared in plan.items()}
    values = {name: per_question(task, said, labels) for name, said in lines.items()}
    conditions = {}
    for name, prepared in plan.items():
        told = write_scores(options, options.out / name, prepared, lines[name], terms)
        conditions[name] = {"shown": CONDITIONS[name], "metrics": told["metrics"]}
        if name != REAL:
            conditions[name]["lost"] = difference(values[REAL], values[name])
            said = ([line["prediction"] for line in lines[each]] for each in (REAL, name))
            conditions[name]["unchanged"] = unchanged(*said)
    return {
        "task": task,
        "measure": MAIN[task],
        "questions": len(lines[REAL]),
        "left_out": plan[REAL].left_out,
        "conditions": conditions,
        "settings": plan[REAL].settings,
        "versions": versions(),
    }
