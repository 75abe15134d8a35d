# Quilt-LLaVA, instruction tuning: connector and language model learn from conversations about frames of lectures.
# Needs:  the iter_N.pth of quilt_pretrain.py, the same parts, quilt_instruct_107k.json and its images:
#         https://huggingface.co/datasets/wisdomik/QUILT-LLaVA-Instruct-107K
# Costs:  as published 1 epoch, 16 samples on each of 4 GPUs (the README says 128 a step); nothing was measured on a GPU
# Next:   pathplugins export xtuner work/quilt_instruct/iter_N.pth --config quilt_instruct.py --out hf_model
# Run:    NPROC_PER_NODE=4 xtuner train quilt_instruct.py --deepspeed deepspeed_zero3 --work-dir work/quilt_instruct

from mmengine.config import read_base

from pathplugins.xtuner.templates import PATHGEN_V1

with read_base():
    from .quilt_pretrain import *

llm_name_or_path = "lmsys/vicuna-7b-v1.5"  # published: 13b, with the projector of the 7b, which does not fit
vision_tower = "wisdomik/QuiltNet-B-32"
pretrained_pth = "work/quilt_pretrain/iter_N.pth"  # None, and projector_path in parts: LLaVA's mm_projector.bin
data_path = "data/quilt_instruct_107k.json"
image_folder = "data/quilt_instruct"
evaluation_images = None
evaluation_inputs = ["Describe this image."]

parts.update(llm=llm_name_or_path, vision_tower=vision_tower, image_aspect_ratio="pad")
model.llm.update(model=parts)
model.update(freeze_llm=False, pretrained_pth=pretrained_pth)
train_dataloader.update(batch_size=16)
train_dataloader.dataset.update(model=parts, data_path=data_path, image_folder=image_folder, prompt_template=PATHGEN_V1)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

optim_wrapper.optimizer.update(lr=2e-5)
default_hooks.checkpoint.update(interval=300)
