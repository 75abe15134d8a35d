# WSI-LLaVA stage 3: LoRA on the language model and the connector learn to answer questions about slides.
# Needs:  the iter_N.pth of wsi_llava_stage2.py, the same parts, a CSV with questions (docs/data.md)
# Costs:  one pass over the questions needs a bag for each; nothing was measured on a GPU
# Next:   pathplugins export xtuner work/wsi_stage3/iter_N.pth --config wsi_llava_stage3.py --out hf_model
# Run:    xtuner train wsi_llava_stage3.py --work-dir work/wsi_stage3

from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR
from peft import LoraConfig

from pathplugins.xtuner.schedule import WarmUpLR

with read_base():
    from .wsi_llava_stage2 import *

llm_name_or_path = "meta-llama/Llama-3.2-1B-Instruct"
vision_tower = "slide_encoder.pth"
pretrained_pth = "work/wsi_stage2/iter_N.pth"
data_path = "data/train.csv"
eval_data_path = None  # "data/val.csv": its loss is logged, and once more with the vision tokens zeroed
media_dir = "data"

parts.update(llm=llm_name_or_path, vision_tower=vision_tower)
model.llm.update(model=parts)
model.update(
    pretrained_pth=pretrained_pth,
    llm_lora=dict(type=LoraConfig, r=32, lora_alpha=64, lora_dropout=0.05, bias="none", task_type="CAUSAL_LM"),
    lr_mult=dict(lora_B=10.0),  # LoRA+, as the published loraplus_lr_ratio
)
train_dataloader.update(batch_size=2)
train_dataloader.dataset.update(
    model=parts, format_options=dict(mode="vqa"), data_path=data_path, image_folder=media_dir
)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[2].update(data_path=eval_data_path)

max_epochs = 10
optim_wrapper.update(accumulative_counts=8)
optim_wrapper.optimizer.update(lr=2e-5, weight_decay=0.05)
train_cfg.update(max_epochs=max_epochs)
param_scheduler = [
    dict(type=WarmUpLR, start_factor=1e-5, by_epoch=True, begin=0, end=0.1 * max_epochs, convert_to_iter_based=True),
    dict(
        type=CosineAnnealingLR,
        eta_min=0.0,
        by_epoch=True,
        begin=0.1 * max_epochs,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
