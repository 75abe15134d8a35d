"""The format of SlideChat: ChatML without a system turn, images at the front of their turn."""

from pathplugins.data.turn_formats.turn_format import TurnFormat

SLIDECHAT_QWEN = TurnFormat(
    name="slidechat_qwen",
    source="uni-medical/SlideChat aa1ff55: xtuner/utils/templates.py qwen_chat, xtuner/dataset/utils.py encode_fn",
    markers=("<|im_start|>", "<|im_end|>"),
    system=("<|im_start|>system\n", "<|im_end|>\n"),  # for data that bring one; the published data bring none
    user=("<|im_start|>user\n", "<|im_end|>\n"),
    lead="<|im_start|>assistant\n",
    end="<|im_end|>",
    after="\n",
    gap="\n",
    stop_words=("<|im_end|>", "<|endoftext|>"),
)
