"""The format of ANTONI-Alpha: Gemma 3 with a second BOS, markers around each image, and learnt tags of the answers."""

from pathplugins.data.turn_formats.turn_format import TurnFormat

ANTONI_GEMMA3 = TurnFormat(
    name="antoni_gemma3",
    source="computationalpathologygroup/ANTONI-Alpha c33bf99: src/antoni_alpha/models/antoni_mixin.py; the chat "
    "template of google/medgemma-4b-it",
    markers=("<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"),
    begin="<bos><bos>",  # of the chat template, and of the tokenizer
    system=("", "\n\n"),
    system_inside=True,
    user=("<start_of_turn>user\n", "<end_of_turn>\n"),
    lead="<start_of_turn>model\n",
    lead_learnt=True,
    end="<end_of_turn>",
    after="\n",
    image=("\n\n<start_of_image>", "<end_of_image>\n\n"),
    strip=True,
    stop_words=("<end_of_turn>", "<eos>"),
)
