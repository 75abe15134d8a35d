# WSI-LLaVA stage 2: the connector learns to write reports from slides, the language model stays frozen.
# Needs:  Llama-3.2-1B-Instruct, slide_encoder.pth of prov-gigapath, a CSV with h5_path, caption, slide_id ...
# Costs:  one pass over the reports needs each bag once; nothing was measured on a GPU
# Next:   wsi_llava_stage3.py
# Run:    xtuner train wsi_llava_stage2.py --work-dir work/wsi_stage2

from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR
from xtuner.utils import PROMPT_TEMPLATE

from pathplugins.data.prompts import SYSTEM_PROMPT

with read_base():
    from .pathology_base import *

llm_name_or_path = "meta-llama/Llama-3.2-1B-Instruct"
vision_tower = "slide_encoder.pth"
data_path = "data/train.csv"
eval_data_path = None  # "data/val.csv": its loss is logged, and once more with the vision tokens zeroed
media_dir = "data"  # where relative h5_path entries are looked for

parts = dict(
    llm=llm_name_or_path,
    vision_tower=vision_tower,
    vision_model_name="gigapath",
    mm_projector_type="gamma_mlp",
    projector_config=dict(dropout=0.2, scale_min=1.2, scale_max=1.8),
    vision_feature_select_mode="random_sample",  # or stride, spatial, prumerge, prompt_topk ...: docs/token_selection.md
    image_seq_length=1536,
    patches_per_wsi=2048,
)
model.llm.update(model=parts)
train_dataloader.update(batch_size=1, num_workers=4)
train_dataloader.dataset.update(
    model=parts,
    format="wsi_csv",
    format_options=dict(mode="report"),
    data_path=data_path,
    image_folder=media_dir,
    prompt_template=PROMPT_TEMPLATE.llama3_chat,
    system=SYSTEM_PROMPT,
    max_length=4096,
)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=["What does this slide show?"], evaluation_images=None)
custom_hooks[2].update(data_path=eval_data_path, batch_size=1)

max_epochs = 10
optim_wrapper.update(dtype="bfloat16", loss_scale=1.0, accumulative_counts=16)
optim_wrapper.optimizer.update(lr=1e-3, weight_decay=0.03)
train_cfg.update(max_epochs=max_epochs)
param_scheduler = [
    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=True, begin=0, end=max_epochs, convert_to_iter_based=True),
]
