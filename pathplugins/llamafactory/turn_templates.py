"""Templates of exact chat formats (`pathplugins.data.turn_formats`), where stock templates tokenize slot by slot."""

from __future__ import annotations

from typing import Any

from llamafactory.data.template import Template

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.llava_format import IMAGE
from pathplugins.data.records import Turn
from pathplugins.data.turn_formats.encode import Encoded, encode
from pathplugins.data.turn_formats.jinja import chat_template
from pathplugins.data.turn_formats.turn_format import TurnFormat
from pathplugins.llamafactory.mm_plugin import IMAGES


class TurnTemplate(Template):
    """A template of a format, which is its attribute; its `mm_plugin` is a `TurnPlugin`."""

    turn_format: TurnFormat

    def encode_oneturn(self, tokenizer: Any, messages: Any, system: Any = None, tools: Any = None) -> Any:
        """Return the ids of everything up to the last answer, and of that answer."""
        rounds, _ = self._encoded(tokenizer, messages, system)
        prompt = [token for one in rounds[:-1] for ids in one for token in ids]
        return prompt + rounds[-1].asked + rounds[-1].lead, rounds[-1].answer

    def encode_multiturn(
        self, tokenizer: Any, messages: Any, system: Any = None, tools: Any = None, *rest: Any, **named: Any
    ) -> Any:
        """Return the ids of each question, which are not learnt, and of its answer.

        What stands behind the last answer is left out: nothing is learnt of it, and nothing after it looks at it.
        """
        rounds, _ = self._encoded(tokenizer, messages, system)
        if self.turn_format.lead_learnt:
            return [(asked, lead + answer) for asked, lead, answer in rounds]
        return [(asked + lead, answer) for asked, lead, answer in rounds]

    def fix_jinja_template(self, tokenizer: Any) -> None:
        """Let the saved tokenizer ask the way the model was trained."""
        tokenizer.chat_template = chat_template(self.turn_format, self.default_system)

    def _encoded(self, tokenizer: Any, messages: list[dict[str, Any]], system: str | None) -> Encoded:
        if other := {message["role"] for message in messages} - {"user", "assistant"}:
            raise PathPluginsError(
                f"the template {self.turn_format.name} has turns of user and assistant, a sample has one of "
                f"{', '.join(sorted(other))}; leave such samples out or choose another template"
            )
        turns = [Turn(message["role"], message["content"]) for message in messages]
        [(rounds, after)] = encode(self.turn_format, [turns], tokenizer, system=system or self.default_system)
        noted = [message[IMAGES] for message in messages if message.get(IMAGES, ("", ()))[1]]
        widths = iter([count for _, counts in noted for count in counts])
        image = tokenizer.convert_tokens_to_ids(noted[0][0]) if noted else None

        def wide(ids: list[int]) -> list[int]:
            if IMAGE not in ids:
                return ids
            return [token for id_ in ids for token in ([image] * next(widths) if id_ == IMAGE else [id_])]

        return Encoded([one._replace(asked=wide(one.asked)) for one in rounds], after)
