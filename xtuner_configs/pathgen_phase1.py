# PathGen-LLaVA phase 1: the connector between PathGen-CLIP and the language model learns from captions.
# Needs:  vicuna-13b-v1.5, PathGen-CLIP-L (open_clip's file as it is), captions as LLaVA or LLaMA-Factory has them:
#         pathdata convert path-cap|quilt-1m ... --to sharegpt --out data/pathgen_initial.json
# Costs:  as published 1 epoch, 32 pairs on each GPU; nothing was measured on a GPU
# Next:   pathgen_phase2.py
# Run:    NPROC_PER_NODE=8 xtuner train pathgen_phase1.py --deepspeed deepspeed_zero2 --work-dir work/pathgen_phase1

from mmengine.config import read_base

from pathplugins.xtuner.templates import PATHGEN_PLAIN

with read_base():
    from .pathology_base import *

llm_name_or_path = "lmsys/vicuna-13b-v1.5"
vision_tower = "pathgen-clip-l.pt"  # or a directory in Hugging Face's layout
data_path = "data/pathgen_initial.json"
image_folder = "data/images"
evaluation_images = None  # an image to ask about while it trains
evaluation_inputs = []

parts = dict(
    llm=llm_name_or_path,
    vision_tower=vision_tower,
    vision_model_name="clip",  # ViT-L/14, 336 px: 576 tokens an image
    vision_config=dict(select_layer=-2),
    mm_projector_type="mlp2x_gelu",
    image_aspect_ratio="pad",  # published: cut to a square, which is the same for square patches
)
model.llm.update(model=parts, torch_dtype="bfloat16")
train_dataloader.update(batch_size=32, num_workers=4)
train_dataloader.dataset.update(
    model=parts,
    format="sharegpt",  # or llava
    data_path=data_path,
    image_folder=image_folder,
    prompt_template=PATHGEN_PLAIN,  # <image>{caption}: what is asked is dropped, caption and line break are learnt
)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

max_epochs = 1
warmup_ratio = 0.03
optim_wrapper.update(dtype="bfloat16", loss_scale=1.0, accumulative_counts=1)
optim_wrapper.optimizer.update(lr=1e-3)
train_cfg.update(max_epochs=max_epochs)
param_scheduler[0].update(end=warmup_ratio * max_epochs)
param_scheduler[1].update(begin=warmup_ratio * max_epochs, end=max_epochs)
default_hooks.checkpoint.update(interval=24000, max_keep_ckpts=1)
default_hooks.logger.update(interval=1)
