# PA-LLaVA stage 1: connector and LoRA learn to caption patches (arXiv:2408.09530).
# Needs:  Llama-3-8B-Instruct, PLIP (plip.tar.gz of OpenFace-CQUPT/Pathology-LLaVA, unpacked), a JSONL of captions:
#         pathdata convert pallava-captions in.json --image-folder data/images --out data/alignment.jsonl
# Costs:  as published 9 epochs of 518,413 pairs, 16 GPUs, 6 pairs each, 6 batches a step
# Next:   pallava_instruction_tuning.py
# Run:    xtuner train pallava_domain_alignment.py --work-dir work/align --seed 1024
#         NPROC_PER_NODE=8 NNODES=2 PORT=12345 ADDR=HOST NODE_RANK=0 xtuner train pallava_domain_alignment.py --deepspeed deepspeed_zero2 --seed 1024

from mmengine.config import read_base
from peft import LoraConfig
from xtuner.utils import PROMPT_TEMPLATE

from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT

with read_base():
    from .pathology_base import *

llm_name_or_path = "meta-llama/Meta-Llama-3-8B-Instruct"
vision_tower = (
    "plip"  # directory with plip_80w_196token.bin and config.json, or any CLIP ViT of 224 px by path or hub id
)
data_path = "data/alignment.jsonl"  # JSON, JSONL, or a folder of them
image_folder = "data/images"
evaluation_images = None  # an image to ask about while it trains
evaluation_inputs = ["Describe the image."]

parts = dict(
    llm=llm_name_or_path,
    vision_tower=vision_tower,
    vision_model_name="plip",
    mm_projector_type="scale_invariant",
    projector_config=dict(cross_attention_freq=1, num_hidden_layers=6, projector_depth=1),
    image_aspect_ratio="anyres",
)
model.llm.update(model=parts, torch_dtype="float16")
model.update(
    llm_lora=dict(type=LoraConfig, r=128, lora_alpha=256, lora_dropout=0.05, bias="none", task_type="CAUSAL_LM")
)
train_dataloader.dataset.update(
    model=parts,
    format="llava",
    data_path=data_path,  # or offline_processed_text_folder="...", made by `pathplugins preprocess`
    image_folder=image_folder,
    prompt_template=PROMPT_TEMPLATE.llama3_chat,
    system=PATCH_SYSTEM_PROMPT,
)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

max_epochs = 9
warmup_ratio = 0.03
train_cfg.update(max_epochs=max_epochs)
param_scheduler[0].update(end=warmup_ratio * max_epochs)
param_scheduler[1].update(begin=warmup_ratio * max_epochs, end=max_epochs)
