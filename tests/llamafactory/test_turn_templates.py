"""Templates of exact chat formats: ids and labels by LLaMA-Factory's own processors, and the saved tokenizer."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import slidechat_reference as reference
from PIL import Image

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host

TOWER = (
    '{"hidden_size":48,"intermediate_size":96,"num_hidden_layers":3,"num_attention_heads":4,'
    '"image_size":32,"patch_size":8}'
)
TOKENS = 16
"""Of an image: 32 px in patches of 8."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> SimpleNamespace:
    """A processor with the tokenizer of a tiny Qwen, the template, and an image."""
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place
    from llamafactory.data.template import get_template_and_fix_tokenizer

    from pathplugins.commands.loading import load_processor
    from pathplugins.llamafactory.arguments import PathModelArguments

    del environment
    root = tmp_path_factory.mktemp("turns")
    llm = reference.tiny_qwen(root / "llm", ["Which margin is involved?"] * 4)
    parts = {"vision_model_name": "clip", "mm_projector_type": "mlp2x_gelu", "image_aspect_ratio": "pad"}
    directory = PathModelArguments(
        model_name_or_path="custom_llava",
        llm_name_or_path=str(llm),
        random_vision_seed=0,
        vision_config=TOWER,
        **parts,
    )
    processor = load_processor(directory.model_name_or_path)
    options = {"train_on_prompt": False, "tool_format": None, "default_system": None, "enable_thinking": None}
    said = SimpleNamespace(template="slidechat_qwen", **options)
    template = get_template_and_fix_tokenizer(processor.tokenizer, said)
    Image.new("RGB", (40, 30), "pink").save(root / "a.png")
    return SimpleNamespace(processor=processor, template=template, image=str(root / "a.png"), root=root)


def own(made: SimpleNamespace) -> Any:
    return lambda text: list(made.processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def processed(made: SimpleNamespace, kind: str, turns: reference.Turns) -> dict[str, Any]:
    """What a processor of samples makes of one conversation."""
    from llamafactory.data import processor as processors

    data = SimpleNamespace(cutoff_len=4096, train_on_prompt=False, mask_history=False)
    ours = getattr(processors, kind)(made.template, made.processor.tokenizer, made.processor, data)
    said = [
        {"role": who, "content": text} for turn in turns for who, text in zip(("user", "assistant"), turn, strict=True)
    ]
    images = sum(question.count("<image>") for question, _ in turns)
    columns = {"_prompt": [said[:-1]], "_response": [said[-1:]], "_images": [[made.image] * images]}
    columns |= {f"_{name}": [None] for name in ("system", "tools", "videos", "audios")}
    found = ours.preprocess_dataset(columns)
    return {key: found[key][0] for key in ("input_ids", "labels")}


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_ids_and_labels_are_those_of_slidechat(made: SimpleNamespace, name: str) -> None:
    turns = reference.CONVERSATIONS[name]
    ids, labels = reference.ids_and_labels(turns, own(made))
    behind = len(own(made)("\n"))  # the last of which nothing is learnt and which nothing looks at
    counts = [TOKENS] * ids.count(reference.IMAGE)
    wanted = reference.wide(ids[:-behind], labels[:-behind], counts, made.processor.image_token_id)
    got = processed(made, "SupervisedDatasetProcessor", turns)
    assert (got["input_ids"], got["labels"]) == wanted


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_it_is_asked_as_it_was_trained(made: SimpleNamespace, name: str) -> None:
    """For generation by LLaMA-Factory, and by the tokenizer it saves."""
    from pathplugins.commands.prompting import prompt

    turns = reference.CONVERSATIONS[name]
    learnt = processed(made, "SupervisedDatasetProcessor", turns)
    asked = processed(made, "UnsupervisedDatasetProcessor", turns)
    answer = own(made)(f"{turns[-1][1]}<|im_end|>")
    assert asked["input_ids"] == learnt["input_ids"][: -len(answer)]
    assert asked["labels"] == answer
    (first, _), *_ = turns
    after = [(told, question) for (_, told), (question, _) in itertools.pairwise(turns)]
    text = prompt(made.processor.tokenizer, first, after=after)
    images = [made.image] * text.count("<image>")
    assert made.processor([text], [images])["input_ids"].tolist() == [asked["input_ids"]]


def test_a_saved_tokenizer_keeps_the_format(made: SimpleNamespace, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from pathplugins.data.turn_formats import format_of

    made.processor.tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    assert format_of(saved.chat_template) is made.template.turn_format
    assert saved.eos_token == "<|im_end|>"


def test_other_roles_are_refused(made: SimpleNamespace) -> None:
    said = [{"role": role, "content": "a"} for role in ("user", "function", "observation", "assistant")]
    with pytest.raises(PathPluginsError, match="one of function, observation"):
        made.template.encode_multiturn(made.processor.tokenizer, said)
