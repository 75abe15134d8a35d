"""Chat session: the turns of a conversation about one file that is open, and the model that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pathplugins.commands.answering import answer, check_length, open_file
from pathplugins.commands.asked_file import AskedFile
from pathplugins.commands.explaining import explain
from pathplugins.commands.explanation_files import ExplanationFiles
from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.prompting import conversation
from pathplugins.commands.sampling import Sampling
from pathplugins.core.errors import PathPluginsError


class ChatSession:
    """Answers questions one after the other, each in the light of those before.

    Args:
        model: of `load_model`.
        sampling: length of an answer, and how its tokens are chosen.
        system: system prompt, instead of the model's own.
    """

    def __init__(self, model: LoadedModel, sampling: Sampling, *, system: str | None = None) -> None:
        self.model = model
        self.file: AskedFile | None = None
        """What is open."""
        self.turns: list[tuple[str, str]] = []
        """(question, answer) since it was opened, or since `begin_anew`."""
        self._sampling, self._system = sampling, system
        self._opened: Any = None
        self._looked: ExplanationFiles | None = None
        """Of the last answer, once it was asked for."""

    def open(self, file: AskedFile) -> None:
        """Read and encode a file, and begin a conversation about it; what was open before is closed."""
        self._opened = open_file(self.model, file.path)
        self.file = file
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the turns; the file stays open."""
        self.turns.clear()
        self._looked = None

    def ask(self, question: str, on_text: Callable[[str], None]) -> str:
        """Answer a question about the open file; what was said of an answer that is interrupted counts as the answer.

        Args:
            question: as a user would ask it.
            on_text: called with each piece of the answer as it is generated.

        Raises:
            PathPluginsError: no file is open, or the conversation is longer than the model can read.
            KeyboardInterrupt: the user stopped the answer.
        """
        if self._opened is None:
            types = "/slide FILE or /bag FILE" if self.model.reads == "bags" else "/image FILE"
            raise PathPluginsError(
                f"no file is open: {self.model.name} reads {self.model.reads} and would answer from its language model "
                f"alone; type {types}"
            )
        self._looked = None
        tokenizer: Any = self.model.processor.tokenizer
        text = conversation(tokenizer, question, before=self.turns, system=self._system)
        self._check_length(text)
        said: list[str] = []

        def hear(piece: str) -> None:
            said.append(piece)
            on_text(piece)

        try:
            told = answer(self.model, self._opened, text, self._sampling, on_text=hear)
        except KeyboardInterrupt:
            if said:
                self.turns.append((question, "".join(said)))
            raise
        self.turns.append((question, told))
        return told

    def explained(self) -> ExplanationFiles:
        """Return the pictures and numbers of where the model looked while it gave its last answer.

        Raises:
            PathPluginsError: there is no answer yet, or see `pathplugins.commands.explaining.explain`.
        """
        if not self.turns or self.file is None:
            raise PathPluginsError("nothing was answered yet; ask a question first, then type /why")
        if self._looked is None:
            *before, (question, told) = self.turns
            text = conversation(self.model.processor.tokenizer, question, before=before, system=self._system)
            slide = None if self.file.given == self.file.path else self.file.given
            found = explain(self.model, self._opened, text, told, slide=slide)
            self._looked = ExplanationFiles(
                self.model, self.file.path, found, question=question, answer=told, slide=slide
            )
        return self._looked

    def _check_length(self, text: str) -> None:
        length = self._opened.inputs(text)["input_ids"].shape[1] + self._sampling.max_new_tokens
        check_length(self.model, length, hint="type /new, or start with a smaller --max-new-tokens")
