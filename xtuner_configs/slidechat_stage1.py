# SlideChat stage 1: slide encoder and connector learn from captions of slides, the language model stays as it is.
# Needs:  Qwen2.5-7B-Instruct, CONCH's features as bags, SlideInstruct_train_stage1_caption.json (docs/slidechat.md):
#         pathdata convert features csv/ --to bare --encoder conch --out data/bags
# Costs:  as published 5 epochs of 4.2K captions, one slide on each GPU, 8 batches a step; nothing was measured on a GPU
# Next:   slidechat_stage2.py
# Run:    NPROC_PER_NODE=8 xtuner train slidechat_stage1.py --deepspeed deepspeed_zero2 --work-dir work/slidechat_stage1

from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR
from transformers import BitsAndBytesConfig

with read_base():
    from .pathology_base import *

llm_name_or_path = "Qwen/Qwen2.5-7B-Instruct"
vision_tower = None  # begins untrained; "stage1_pth" takes up the published one
data_path = "data/SlideInstruct_train_stage1_caption.json"
image_folder = "data/bags"
evaluation_images = None  # a bag to ask about while it trains
evaluation_inputs = []

parts = dict(
    llm=llm_name_or_path,
    vision_tower=vision_tower,
    vision_model_name="slidechat",
    vision_config=dict(attend=False),  # True: patches see each other, as the paper describes it and its code does not
    mm_projector_type="mlp2x_gelu",
    vision_feature_select_mode="none",  # every row read is a token
    patches_per_wsi=10240,  # rows read from a bag at most
    patches_sampling="linspace",  # evenly, the first and the last row among them
)
model.update(freeze_visual_encoder=False)
model.llm.update(
    model=parts,
    torch_dtype="float16",
    quantization_config=dict(  # of the language model; None where there is no GPU
        type=BitsAndBytesConfig,
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype="float16",
    ),
)
train_dataloader.update(batch_size=1, num_workers=4)
train_dataloader.dataset.update(
    model=parts,
    format="slidechat",
    format_options=dict(image_suffix=".h5"),  # bags in place of the .csv that the file names
    data_path=data_path,
    image_folder=image_folder,
    prompt_template="slidechat_qwen",  # no system text; images at the front of their turn
    max_length=51200,  # vision tokens and text; the positions of the language model end at 32,768
)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

max_epochs = 5
optim_wrapper.update(accumulative_counts=8)
optim_wrapper.optimizer.update(lr=1e-3)
train_cfg.update(max_epochs=max_epochs)
param_scheduler = [  # without warm-up: published is a warmup_ratio of 0.03 that nothing reads
    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=True, begin=0, end=max_epochs, convert_to_iter_based=True),
]
default_hooks.checkpoint.update(interval=1000)
