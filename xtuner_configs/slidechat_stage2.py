# SlideChat stage 2: slide encoder, connector and language model learn from questions about slides.
# Needs:  the iter_N.pth of slidechat_stage1.py, the same parts, slidechat_train_vqa_stage2.json, the bags of its slides
# Costs:  as published 2 epochs of 176K questions, one on each GPU, 8 batches a step; nothing was measured on a GPU
# Next:   pathplugins export xtuner work/slidechat_stage2/iter_N.pth --config slidechat_stage2.py --out hf_slidechat
# Run:    NPROC_PER_NODE=8 xtuner train slidechat_stage2.py --deepspeed deepspeed_zero2 --work-dir work/slidechat_stage2

from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR

with read_base():
    from .slidechat_stage1 import *

llm_name_or_path = "Qwen/Qwen2.5-7B-Instruct"
vision_tower = None  # with "stage1_pth" here and as projector_path in parts, None below: the published stage 1
pretrained_pth = "work/slidechat_stage1/iter_N.pth"
data_path = "data/slidechat_train_vqa_stage2.json"
image_folder = "data/bags"
evaluation_images = None
evaluation_inputs = []

parts.update(llm=llm_name_or_path, vision_tower=vision_tower)
model.update(freeze_llm=False, pretrained_pth=pretrained_pth)
model.llm.update(model=parts, quantization_config=None)
train_dataloader.dataset.update(model=parts, data_path=data_path, image_folder=image_folder, max_length=19600)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

max_epochs = 2
optim_wrapper.optimizer.update(lr=2e-5)
train_cfg.update(max_epochs=max_epochs)
param_scheduler = [
    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=True, begin=0, end=max_epochs, convert_to_iter_based=True),
]
