# The official WSI-LLaVA (ICCV 2025): LoRA on LLaVA-1.5's language model and its connector learn WSI-Bench.
# Needs:  llava-v1.5-7b with its vision tower bypassed, pooled slide tokens, WSI-Bench divided by slide:
#         pathplugins import-weights wsi-llava llava-v1.5-7b --out hf_start
#         pathdata pool bags --slide-encoder slide_encoder.pth --out pooled
#         pathdata split dataset --by slide --out apart
# Costs:  as published 3 epochs, 32 samples and 4 batches a step; nothing was measured on a GPU
# Next:   pathplugins export xtuner work/wsi_official/iter_N.pth --config wsi_llava_official.py --out hf_wsi
# Run:    xtuner train wsi_llava_official.py --deepspeed deepspeed_zero3 --work-dir work/wsi_official

from mmengine.config import read_base
from peft import LoraConfig

from pathplugins.xtuner.samplers import ModalityLengthSampler
from pathplugins.xtuner.templates import PATHGEN_V1

with read_base():
    from .pathology_base import *

start = "hf_start"  # tower features, selector none, connector mlp2x_gelu: 576 tokens a slide
data_path = "apart"  # published: the whole folder, tested slides among what is trained on
image_folder = "pooled"  # the images say TCGA-XXXX/SLIDE.pt, the bags are TCGA-XXXX/SLIDE.h5
evaluation_images = None  # a bag to ask about while it trains
evaluation_inputs = ["What is the histological type?"]
batch_size = 32

model.llm.update(model=start, torch_dtype="bfloat16")
model.update(
    llm_lora=dict(type=LoraConfig, r=128, lora_alpha=256, lora_dropout=0.05, bias="none", task_type="CAUSAL_LM"),
    lr_mult=dict(multi_modal_projector=0.1),  # published as mm_projector_lr 2e-5
)
train_dataloader.update(batch_size=batch_size, num_workers=4)
train_dataloader["sampler"] = dict(
    type=ModalityLengthSampler, batch_size=batch_size
)  # LLaVA's group_by_modality_length
train_dataloader.dataset.update(
    model=start,
    format="wsi_bench",
    format_options=dict(split="train", image_suffix=".h5"),
    data_path=data_path,
    image_folder=image_folder,
    prompt_template=PATHGEN_V1,
)
train_dataloader.collate_fn.update(model=start)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

max_epochs = 3
warmup_ratio = 0.03
optim_wrapper.update(dtype="bfloat16", loss_scale=1.0, accumulative_counts=4)
optim_wrapper.optimizer.update(lr=2e-4)
train_cfg.update(max_epochs=max_epochs)
param_scheduler[0].update(end=warmup_ratio * max_epochs)
param_scheduler[1].update(begin=warmup_ratio * max_epochs, end=max_epochs)
default_hooks.checkpoint.update(interval=50000, max_keep_ckpts=1)
default_hooks.logger.update(interval=1)
