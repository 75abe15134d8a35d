# PathGen-LLaVA phase 2: connector and language model learn from detailed captions or conversations.
# Needs:  the iter_N.pth of pathgen_phase1.py, the same parts, captions or PathGen-Instruct with their images:
#         pathdata convert pathgen pairs/manifest.jsonl --to sharegpt --out data/pathgen_desp.json
# Costs:  as published 1 epoch, 16 samples on each GPU; nothing was measured on a GPU
# Next:   pathplugins export xtuner work/pathgen_phase2/iter_N.pth --config pathgen_phase2.py --out hf_model
# Run:    NPROC_PER_NODE=8 xtuner train pathgen_phase2.py --deepspeed deepspeed_zero3 --work-dir work/pathgen_phase2

from mmengine.config import read_base

from pathplugins.xtuner.samplers import ModalityLengthSampler
from pathplugins.xtuner.templates import PATHGEN_V1

with read_base():
    from .pathgen_phase1 import *

llm_name_or_path = "lmsys/vicuna-13b-v1.5"
vision_tower = "pathgen-clip-l.pt"
pretrained_pth = "work/pathgen_phase1/iter_N.pth"  # None, and projector_path in parts: LLaVA's mm_projector.bin
data_path = "data/pathgen_desp.json"  # published: pathgen_initial.json, beside the images of pathgen_desp
image_folder = "data"  # what the images in it are relative to
evaluation_images = None
evaluation_inputs = ["Describe this image."]
batch_size = 16

parts.update(llm=llm_name_or_path, vision_tower=vision_tower)
model.llm.update(model=parts)
model.update(freeze_llm=False, pretrained_pth=pretrained_pth)
train_dataloader.update(batch_size=batch_size)
train_dataloader["sampler"] = dict(
    type=ModalityLengthSampler, batch_size=batch_size
)  # LLaVA's group_by_modality_length
train_dataloader.dataset.update(model=parts, data_path=data_path, image_folder=image_folder, prompt_template=PATHGEN_V1)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

optim_wrapper.optimizer.update(lr=2e-5)
default_hooks.checkpoint.update(interval=50000)
