"""What LLaVA v1.5 makes of a conversation, written down once more and by other means than the package does it.

It goes by LLaVA's own way of counting: the lengths of texts tokenized by themselves, not where pieces lie in the whole.
Beside it, a sentencepiece vocabulary as Llama's is, trained on a few sentences, with the tokenizers made of it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Encode = Callable[[str], list[int]]
Turns = list[tuple[str, str]]

IMAGE, MASKED, BOS, EOS = -200, -100, 1, 2
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
CONVERSATIONS: dict[str, Turns] = {
    "image before": [("<image>\nWhat does this show?", "Sheets of cells.")],
    "image behind": [("What does this show? \n<image>", "Sheets of cells.")],
    "image alone": [("<image>", "Glands in a row.")],
    "rounds": [("<image>\nTumour?", "Yes."), ("Which grade?", "Grade 2, ER+ 90 %."), ("Sure?", "No")],
    "image later": [("Hello", "Hello."), (" A tumour <image> here?", "Yes.")],
    "no image": [("What is a gland?", "A thing."), ("And this: ASSISTANT?", "USER: unknown.")],
    "line breaks": [("<image>\n1)\n\n2)  two", "First\n\nSecond\twith  blanks \n"), ("\nso?", " Blank first.")],
    "unicode": [("<image>\nGröße in µm — 组织?", "5 µm 🔬 ± 1 \u202f%; 细胞"), ("é?", "e\u0301.")],
}
LEARNT_OF_NOTHING: dict[str, Turns] = {
    "empty": [("<image>\nWhat?", "")],
    "marker": [("<image>\nWhat?", "It says ASSISTANT: no")],
    "end": [("<image>\nWhat?", "It is</s> this.")],
}


def plain(turns: Turns, encode: Encode) -> tuple[list[int], list[int]]:
    """Ids and labels of a caption."""
    [(_, caption)] = turns
    ids = [BOS, IMAGE, *encode(f"{caption}\n")]
    return ids, [MASKED, MASKED, *ids[2:]]


def v1(turns: Turns, encode: Encode, *, legacy: bool = True, system: str = SYSTEM) -> tuple[list[int], list[int]]:
    """Ids and labels of a conversation; all masked where the counting does not come out even."""
    text = f"{system} "
    for question, answer in turns:
        if "<image>" in question:
            question = ("<image>\n" + question.replace("<image>", "").strip()).strip()
        text += f"USER: {question} ASSISTANT: {answer}</s>" if answer else f"USER: {question} ASSISTANT:"

    def with_begin(text: str) -> list[int]:
        chunks = [encode(chunk) for chunk in text.split("<image>")]
        joined = [BOS, *chunks[0]]
        for chunk in chunks[1:]:
            joined += [IMAGE, *chunk]
        return joined

    ids = with_begin(text)
    labels, place = list(ids), 1
    labels[0] = MASKED
    for number, said in enumerate(text.split("</s>")):
        halves = said.split(" ASSISTANT: ")
        if said == "" or len(halves) != 2:
            break
        whole, asked = len(with_begin(said)), len(with_begin(f"{halves[0]} ASSISTANT: ")) - 2
        if number and not legacy:  # a text by itself starts with a "▁", the same text after </s> does not
            whole, asked = whole - 1, asked - 1
        labels[place : place + asked] = [MASKED] * len(labels[place : place + asked])
        place += whole
    return ids, labels if place == len(ids) else [MASKED] * len(ids)


def sentencepiece_model(path: Path, texts: Sequence[str] = ()) -> Any:
    """Train and write ``tokenizer.model``; as in Llama's, "USER" is one piece and "▁USER" is two.

    Args:
        path: where to.
        texts: what the vocabulary is to know beside the conversations here.
    """
    import sentencepiece

    said = " ".join(text for turns in CONVERSATIONS.values() for turn in turns for text in turn)
    words = said.replace("USER", "").split()
    texts = [*texts, SYSTEM, *(" ".join(words[start : start + 9]) for start in range(0, len(words), 9))] * 4
    texts += [f"{letter}USER {letter}USER" for letter in "abcdefgh"] * 4 + ["ASSISTANT ASSISTANT ASSISTANT"] * 4
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=written,
        model_type="bpe",
        vocab_size=640,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        split_digits=True,
        minloglevel=2,
        **{"unk_id": 0, "bos_id": BOS, "eos_id": EOS, "pad_id": -1},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written.getvalue())
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def by_sentencepiece(model: Any) -> Encode:
    """What Llama's slow, legacy tokenizer does: the text between end tokens is encoded as texts by themselves are."""

    def encode(text: str) -> list[int]:
        first, *others = text.split("</s>")
        return model.encode(first) + [token for other in others for token in (EOS, *model.encode(other))]

    return encode


def fast_tokenizer(folder: Path, model: Any, *, legacy: bool) -> Path:
    """Write ``tokenizer.json`` and its configuration beside the model, as Transformers converts the model."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = [model.id_to_piece(index) for index in range(model.get_piece_size())]
    rank = {piece: index for index, piece in enumerate(pieces)}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in pieces
        for cut in range(1, len(piece))
        if piece[:cut] in rank and piece[cut:] in rank and not model.is_byte(rank[piece]) and rank[piece] > EOS
    ]
    tokenizer = Tokenizer(models.BPE(rank, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    blank, fuse = decoders.Replace("▁", " "), decoders.Fuse()
    tokenizer.decoder = decoders.Sequence([blank, decoders.ByteFallback(), fuse, decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in ("<unk>", "<s>", "</s>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "model_max_length": 4096}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


def tiny_vicuna(folder: Path, texts: Sequence[str]) -> Path:
    """An untrained language model of two layers with such a tokenizer, as Vicuna's directory is."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    model = sentencepiece_model(folder / "tokenizer.model", texts)
    (folder / "tokenizer.model").unlink()  # else Transformers converts it anew
    fast_tokenizer(folder, model, legacy=True)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=model.get_piece_size(), max_position_embeddings=1024, **size)
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
