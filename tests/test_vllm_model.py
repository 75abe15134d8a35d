"""vLLM gives the answers of Transformers from embeddings of a prompt and a bag; run where vLLM is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("vllm")
transformers = pytest.importorskip("transformers")

from talking_models import LLAMA, QUESTION, WIDTH  # noqa: E402 - it makes models

from pathplugins.commands.answering import open_file  # noqa: E402
from pathplugins.commands.loading import load_model  # noqa: E402
from pathplugins.commands.prompting import conversation  # noqa: E402
from pathplugins.data.bags import BagAttributes, write_bag  # noqa: E402
from pathplugins.data.prompts import SYSTEM_PROMPT  # noqa: E402
from pathplugins.models.compose.compose import compose  # noqa: E402
from pathplugins.models.compose.spec import ComposeSpec  # noqa: E402
from pathplugins.models.compose.tiny_llm import build_tiny_llm  # noqa: E402

SERVE = """
import json, sys, torch
from pathlib import Path

def main(folder, prompt, bags, out):
    from vllm import LLM, SamplingParams
    from pathplugins.commands.loading import load_processor
    from pathplugins.models.custom_llava.opened_image import OpenedImage
    from pathplugins.models.custom_llava.prompt_embeddings import load_vision_side, prompt_embeddings

    side, processor = load_vision_side(Path(folder), dtype=torch.float32), load_processor(folder)
    embeds = [prompt_embeddings(side, OpenedImage(side, processor, bag), prompt) for bag in bags]
    options = {"dtype": "float32", "enforce_eager": True, "max_model_len": 512, "kv_cache_memory_bytes": 2**26}
    llm = LLM(model=folder, enable_prompt_embeds=True, **options)
    told = llm.generate([{"prompt_embeds": each} for each in embeds], SamplingParams(temperature=0, max_tokens=12))
    Path(out).write_text(json.dumps([list(each.outputs[0].token_ids) for each in told]))

if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
"""


def test_the_answers_are_those_of_transformers(tmp_path: Path) -> None:
    llm = build_tiny_llm(
        tmp_path / "llm", [QUESTION, SYSTEM_PROMPT], tied=False, hidden_size=256
    )  # vLLM has kernels for wide heads
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = LLAMA
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": WIDTH, "embed_dim": 24, "depth": 1, "num_heads": 4}
    tower |= {"segment_lengths": [8], "dilated_ratios": [1]}
    spec = ComposeSpec(llm=str(llm), vision_config=tower, random_vision_seed=0, image_seq_length=5, patches_per_wsi=11)
    model = load_model(compose(spec, tmp_path / "vlm"), device="cpu", dtype="float32")
    prompt, bags, right = conversation(model.processor.tokenizer, QUESTION), [], []
    for name, rows in (("one", 17), ("two", 9)):
        sizes = {"patch_size": 256, "patch_size_level0": 256, "mpp": 0.5, "level0_mpp": 0.5}
        side = BagAttributes(slide_id=name, encoder="none", level0_width=5000, level0_height=6000, **sizes)
        coords = np.stack([np.arange(rows) % 9, np.arange(rows)], 1) * 256
        features = np.random.default_rng(rows).standard_normal((rows, WIDTH))
        write_bag(tmp_path / f"{name}.h5", [features], coords, side)
        bags.append(str(tmp_path / f"{name}.h5"))
        inputs = open_file(model, Path(bags[-1])).inputs(prompt)
        told = model.model.generate(**inputs, max_new_tokens=12, do_sample=False, pad_token_id=1)
        right.append(told[0, inputs["input_ids"].shape[1] :].tolist())
    script, out = tmp_path / "serve.py", tmp_path / "told.json"
    script.write_text(SERVE)
    words = [str(tmp_path / "vlm"), prompt, bags, str(out)]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    subprocess.run([sys.executable, str(script), json.dumps(words)], env=offline, check=True, timeout=900)
    assert json.loads(out.read_text()) == right
    assert right[0] != right[1]
