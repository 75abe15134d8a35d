#!/usr/bin/env bash
# PEFT 0.21.2 with transformers 4.57.1: a merged LLaVA whose embedding and head LoRA trained whole loses the head.
#
# `modules_to_save=["embed_tokens", "lm_head"]` of a model whose two are one makes two of them. `merge_and_unload` sees
# that and corrects `config.tie_word_embeddings` - at the top. A model of several parts keeps the key in `text_config`
# too, where Transformers 4 looks, and that one goes on to say that they are one. The directory that `save_pretrained`
# writes holds both, it loads without a word, and the embedding has taken the place of the head.
#
# Seen: logits of the merged model before saving and after loading differ by 39, whether the top of the configuration
# said "tied" too or the text alone. The same with transformers 4.48.0; 5.5.4 compares the two weights and leaves them
# apart.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==4.57.1 peft==0.21.2 numpy==2.3.5

cat > "$work/merge.py" <<'PY'
import sys
import tempfile
import warnings
from importlib.metadata import version

import torch
from peft import LoraConfig, get_peft_model
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

warnings.simplefilter("ignore")
print(", ".join(f"{name} {version(name)}" for name in ("peft", "transformers", "torch")))
small = {"intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
text = LlamaConfig(vocab_size=64, hidden_size=32, num_key_value_heads=2, tie_word_embeddings=True, **small)
vision = CLIPVisionConfig(hidden_size=16, image_size=28, patch_size=14, **small)
ids, good = torch.tensor([[1, 2, 3]]), True
for top in ({"tie_word_embeddings": True}, {}):
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(text_config=text, vision_config=vision, image_token_index=63, **top)
    )
    lora = LoraConfig(r=2, target_modules=["up_proj"], modules_to_save=["embed_tokens", "lm_head"])
    model = get_peft_model(model, lora).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "modules_to_save" in name:
                value.add_(torch.randn_like(value))
        merged = model.merge_and_unload()
        before, folder = merged(input_ids=ids).logits, tempfile.mkdtemp()
        merged.save_pretrained(folder)
        loaded, told = LlavaForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
        apart = (loaded.eval()(input_ids=ids).logits - before).abs().max().item()
    levels = merged.config.tie_word_embeddings, merged.config.text_config.tie_word_embeddings
    print(f"saved as tied (top, text): {levels}; logits differ by {apart:.1f}; missing: {told['missing_keys']}")
    good &= levels == (False, True) and apart > 1 and not told["missing_keys"]
print("as recorded" if good else "CHANGED: a merged model keeps its head, or says that it is missing")
sys.exit(not good)
PY
"$work/venv/bin/python" "$work/merge.py"
