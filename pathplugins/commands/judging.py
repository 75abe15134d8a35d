"""Let a language model behind an OpenAI-compatible server grade free-text answers against the right ones.

Questions, right answers and predictions are sent to it; ids, file names and pictures are not.
"""

from __future__ import annotations

import argparse
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pathplugins.commands.predictions import Line
from pathplugins.core.ahead import in_order
from pathplugins.core.cache_place import cache_dir
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.data.scoring.answers import is_closed
from pathplugins.data.scoring.judged import FAILED, GRADE, UNPARSED
from pathplugins.data.scoring.rubric import BEST, grade_in, judge_prompt, rubric
from pathplugins.data.scoring.tasks import Task
from pathplugins.data_tools.captioning.asking import Asker, RequestOptions
from pathplugins.data_tools.captioning.cache import AnswerCache
from pathplugins.data_tools.captioning.client import Client, Count, OptionNames, UnusableServerError
from pathplugins.data_tools.captioning.pace import Pace, StoppedError
from pathplugins.data_tools.captioning.replies import CUT_OFF, Answer, RowFailedError
from pathplugins.data_tools.captioning.servers import KEY_NAME, key_in, key_variable
from pathplugins.data_tools.commands.options.captioning import json_object

JUDGEMENTS = "judgements.jsonl"

_TASKS: tuple[Task, ...] = ("report", "vqa")
_AT_ONCE = 8  #: requests under way
_TIMEOUT_S, _RETRIES, _MAX_TOKENS = 120, 6, 1024
_PROGRESS_S = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """The judge of a run."""

    url: str
    model: str
    """As the server calls it."""
    key_env: str | None
    """Environment variable with the key; None takes ``OPENAI_API_KEY`` if it is set."""
    body: Mapping[str, Any]
    """Further fields of a request."""

    @classmethod
    def of(cls, args: argparse.Namespace, task: Task) -> JudgeOptions | None:
        """Take them from the command line; None where no judge is asked.

        Raises:
            PathPluginsError: an option is missing, stands alone, or the task has nothing to judge.
        """
        if args.judge is None:
            alone = [name for name in ("judge_model", "judge_key_env", "judge_body") if getattr(args, name) is not None]
            if alone:
                raise PathPluginsError(f"--{alone[0].replace('_', '-')} belongs to --judge URL; give both or neither")
            return None
        if task not in _TASKS:
            raise PathPluginsError(f"--judge grades free text: --task {' or '.join(_TASKS)}, not {task}; leave it out")
        if not args.judge_model:
            raise PathPluginsError("--judge needs --judge-model NAME; URL/models lists the names")
        return cls(url=args.judge, model=args.judge_model, key_env=args.judge_key_env, body=args.judge_body or {})

    def request(self) -> RequestOptions:
        """Return the fields of a request beside its prompt."""
        return RequestOptions(temperature=0.0, max_tokens=_MAX_TOKENS, extra=self.body)

    def check(self) -> None:
        """Find out what is wrong with address, key and packages, without a request.

        Raises:
            PathPluginsError: see `client`.
        """
        self.client(Count(), threading.Event())

    def client(self, count: Count, stop: threading.Event) -> Client:
        """Return a client of the server.

        Raises:
            PathPluginsError: the address, the key or a package is missing or wrong.
        """
        names = OptionNames("--judge", "--judge-model", "--judge-key-env")
        key = key_in(key_variable(self.key_env))
        own = {"timeout_s": _TIMEOUT_S, "retries": _RETRIES, "names": names}
        return Client(self.url, key=key, pace=Pace(stop), count=count, **own)

    def told(self) -> dict[str, Any]:
        """Return what ``metrics.json`` keeps of the judge."""
        fields = self.request().body(self.model, "", None)
        shown = {name: value for name, value in fields.items() if name != "messages"}
        return {**shown, "scale": [0, BEST], "prompt": rubric()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a judge."""
    group = parser.add_argument_group("judge of free text (off unless --judge is given)")
    group.add_argument("--judge", metavar="URL", help="an OpenAI-compatible server, http://HOST:PORT/v1")
    group.add_argument("--judge-model", metavar="NAME", help="as the server calls it")
    group.add_argument(
        "--judge-key-env", metavar="NAME", help=f"environment variable with the key (default {KEY_NAME}, if set)"
    )
    group.add_argument("--judge-body", type=json_object, metavar="JSON", help="more fields of a request, null for less")


def judged(options: JudgeOptions, task: Task, lines: Sequence[Line], out: Path) -> list[Line]:
    """Have answers graded, and write the replies to ``judgements.jsonl``.

    Replies are kept by what was asked (model, prompt, texts), each as soon as it is there: nothing is asked twice.

    Args:
        options: the judge.
        task: of ``vqa`` the questions whose right answer is yes or no are left to exact match.
        lines: answered questions.
        out: folder of the run.

    Returns:
        The lines, with `GRADE` where the judge was asked.

    Raises:
        PathPluginsError: the server cannot be used; the replies until then are kept.
    """
    open_ones = [line for line in lines if task == "report" or not is_closed(line["answer"])]
    prompts = {line["id"]: judge_prompt(line["question"], line["answer"], line["prediction"]) for line in open_ones}
    replies = _ask_all(options, list(dict.fromkeys(prompts.values())))
    grades: dict[str, Any] = {}
    rows, faults = [], Counter[str]()
    for name, prompt in prompts.items():
        reply = replies[prompt]
        if isinstance(reply, Answer):
            grade = None if reply.refused else grade_in(reply.text)
            grades[name] = UNPARSED if grade is None else grade
            rows.append({"id": name, GRADE: grades[name], "reply": reply.text, "model": reply.model})
        else:
            grades[name] = FAILED
            rows.append({"id": name, GRADE: FAILED, "error": f"{reply.reason}: {reply}"})
            faults[reply.reason] += 1
    write_text_whole(out / JUDGEMENTS, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    if unparsed := [*grades.values()].count(UNPARSED):
        logger.warning("%d of %d replies of the judge hold no grade; see %s", unparsed, len(rows), out / JUDGEMENTS)
    if faults:
        said = ", ".join(f"{number} x {reason}" for reason, number in faults.most_common())
        logger.warning("%d answers are not judged (%s); run the command again to ask for them", faults.total(), said)
    if faults[CUT_OFF]:
        logger.warning("replies longer than %d tokens: give --judge-body '{\"max_tokens\": ...}'", _MAX_TOKENS)
    return [{**line, GRADE: grades[line["id"]]} if line["id"] in grades else line for line in lines]


def _ask_all(options: JudgeOptions, prompts: Sequence[str]) -> dict[str, Answer | RowFailedError]:
    """Return the reply to each prompt, or why there is none."""
    count, stop, lost = Count(), threading.Event(), list[UnusableServerError]()
    client = options.client(count, stop)
    said = "judge: questions, right answers and predictions go to %s (%d, less those it has answered before)"
    logger.info(said, urlsplit(client.url).netloc, len(prompts))
    with AnswerCache(cache_dir() / "judge" / "answers.sqlite") as cache, ThreadPoolExecutor(_AT_ONCE) as pool:
        asker = Asker(options.model, options.request(), cache, client, count, None)

        def ask(prompt: str) -> Answer | RowFailedError:
            try:
                return asker.answer(prompt, None)
            except RowFailedError as error:
                return error
            except UnusableServerError as error:
                lost.append(error)
                stop.set()  # the others need not try
                raise

        try:
            replies = {}
            said_at = time.monotonic()
            for prompt, reply in zip(prompts, in_order(pool, ask, prompts), strict=True):
                replies[prompt] = reply
                if time.monotonic() - said_at > _PROGRESS_S:
                    logger.info("%d of %d judged", len(replies), len(prompts))
                    said_at = time.monotonic()
        except (UnusableServerError, StoppedError):
            kept = "the answers of the model and all replies so far are kept: run the same command to go on"
            raise PathPluginsError(f"{lost[0]}; {kept}") from lost[0]
        finally:
            stop.set()
    said = "judge: %d replies (%d known from before), %d + %d tokens"
    logger.info(said, count.requests, count.known, count.prompt_tokens, count.completion_tokens)
    return replies
