# Quilt-LLaVA, pre-training: the connector between QuiltNet-B-32 and the language model learns from captions.
# Needs:  vicuna-7b-v1.5, QuiltNet-B-32 (its config.json and pytorch_model.bin), quilt_pretrain.json and its images:
#         https://huggingface.co/datasets/wisdomik/Quilt-LLaVA-Pretrain (723K pairs)
# Costs:  as published 1 epoch, 32 pairs on each of 4 GPUs (the README says 256 a step); nothing was measured on a GPU
# Next:   quilt_instruct.py
# Run:    NPROC_PER_NODE=4 xtuner train quilt_pretrain.py --deepspeed deepspeed_zero2 --work-dir work/quilt_pretrain

from mmengine.config import read_base

with read_base():
    from .pathgen_phase1 import *

llm_name_or_path = "lmsys/vicuna-7b-v1.5"
vision_tower = "wisdomik/QuiltNet-B-32"  # the released weights are of openai/clip-vit-large-patch14-336 instead
data_path = "data/quilt_pretrain.json"
image_folder = "data/quilt_1m"
evaluation_images = None  # an image to ask about while it trains
evaluation_inputs = []

parts.update(
    llm=llm_name_or_path,
    vision_tower=vision_tower,  # ViT-B/32, 224 px: 49 tokens an image
    image_aspect_ratio="square",  # published: nothing is said here, which cuts out the middle
)
model.llm.update(model=parts)
train_dataloader.dataset.update(model=parts, format="llava", data_path=data_path, image_folder=image_folder)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

default_hooks.checkpoint.update(interval=800)
