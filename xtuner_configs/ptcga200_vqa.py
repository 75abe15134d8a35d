# Patch questions: a language model behind PTCGA200's own encoder learns to name the organ of a patch (PatchTCGA).
# Needs:  vicuna-7b-v1.5, the encoder, and the questions about the patches:
#         pathplugins import-weights ptcga200-mae ckpt.pth --out towers/ptcga200-vit-l16
#         pathdata convert ptcga200 datasets/PTCGA200 --to sharegpt --out data
# Costs:  1 epoch, 16 samples on each GPU; nothing was measured on a GPU
# Next:   pathplugins export xtuner work/ptcga200_vqa/iter_N.pth --config ptcga200_vqa.py --out hf_model
# Run:    NPROC_PER_NODE=8 xtuner train ptcga200_vqa.py --deepspeed deepspeed_zero3 --work-dir work/ptcga200_vqa

from mmengine.config import read_base

from pathplugins.xtuner.templates import PATHGEN_V1

with read_base():
    from .pathgen_phase1 import *

llm_name_or_path = "lmsys/vicuna-7b-v1.5"
vision_tower = "towers/ptcga200-vit-l16"  # any encoder directory, or a file and vision_config=dict(encoder="uni2-h")
data_path = "data/ptcga200.json"
image_folder = "data"  # what the images in it are relative to
evaluation_images = None  # an image to ask about while it trains
evaluation_inputs = ["Which organ is this tissue from?"]

parts.update(
    llm=llm_name_or_path,
    vision_tower=vision_tower,
    vision_model_name="timm",  # ViT-L/16, 224 px: 196 tokens an image; of a ResNet-50 49, with select_layer=-1
)
model.llm.update(model=parts)
# the connector starts from noise: its rate is 1e-3, as in a phase of its own
model.update(freeze_llm=False, lr_mult=dict(multi_modal_projector=50))
train_dataloader.update(batch_size=16)
train_dataloader.dataset.update(
    model=parts, data_path=data_path, image_folder=image_folder, max_length=1024, prompt_template=PATHGEN_V1
)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

optim_wrapper.optimizer.update(lr=2e-5)
default_hooks.checkpoint.update(interval=5000)
