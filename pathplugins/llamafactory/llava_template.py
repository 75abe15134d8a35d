"""Templates of LLaVA v1.5: ids and labels as LLaVA makes them, where stock templates tokenize slot by slot."""

from __future__ import annotations

from typing import Any, ClassVar

from llamafactory.data.template import Template

from pathplugins.data.llava_format import IMAGE, Conversation, Version, chat_template, encode, problem
from pathplugins.data.records import IMAGE_PLACEHOLDER
from pathplugins.llamafactory.mm_plugin import IMAGE_TOKEN


class _LlavaTemplate(Template):
    """Either format; its `mm_plugin` is a `LlavaPlugin`, which says what each image becomes."""

    version: ClassVar[Version]

    def encode_oneturn(self, tokenizer: Any, messages: Any, system: Any = None, tools: Any = None) -> Any:
        """Return the ids of everything up to the last answer, and of that answer."""
        *prompt, response = self._texts(tokenizer, messages, system)
        return [token for ids in prompt for token in ids], response

    def encode_multiturn(
        self, tokenizer: Any, messages: Any, system: Any = None, tools: Any = None, *rest: Any, **named: Any
    ) -> Any:
        """Return the ids of each question and its answer; a sample that LLaVA would mask has no answers."""
        texts = self._texts(tokenizer, messages, system)
        return list(zip(texts[::2], texts[1::2], strict=True))

    def fix_jinja_template(self, tokenizer: Any) -> None:
        """Let the saved tokenizer ask the way the model was trained."""
        tokenizer.chat_template = chat_template(self.version, tokenizer, self.default_system)

    def _texts(self, tokenizer: Any, messages: list[dict[str, str]], system: str | None) -> list[list[int]]:
        token = next((message[IMAGE_TOKEN] for message in messages if IMAGE_TOKEN in message), IMAGE_PLACEHOLDER)
        counts, said = [], []
        for content in (message["content"] for message in messages):
            rest = content
            while rest.startswith(token):
                rest = rest[len(token) :]
            if count := (len(content) - len(rest)) // len(token):
                counts.append(count)
            said.append(IMAGE_PLACEHOLDER * (count > 0) + rest)
        image = tokenizer.convert_tokens_to_ids(token)
        conversation = Conversation(said, system or self.default_system)
        asked = said[-1] == ""  # the prompt of an answer that is to be generated
        judged = Conversation([*said[:-1], "?"], conversation.system) if asked else conversation
        wrong = problem(self.version, judged, tokenizer.eos_token)
        if wrong and not asked:
            return [[tokenizer.eos_token_id] + [image] * sum(counts), *([[]] * (len(said) - 1))]
        [texts] = encode(self.version, [conversation], tokenizer)
        widths = iter(counts)
        return [[t for id_ in ids for t in ([image] * next(widths) if id_ == IMAGE else [id_])] for ids in texts]


class PlainTemplate(_LlavaTemplate):
    """``plain``: captions."""

    version = "plain"


class V1Template(_LlavaTemplate):
    """``v1``: conversations."""

    version = "v1"
