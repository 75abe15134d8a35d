# PA-LLaVA stage 1 in small: untrained parts, drawn images, CPU. Shows that everything is in place, teaches nothing.
# Needs:  nothing; images are drawn into pallava_smoke_images/
# Costs:  half a minute on a laptop
# Next:   pallava_smoke_tune.py
# Run:    xtuner train pallava_smoke_align.py
#         NPROC_PER_NODE=2 xtuner train pallava_smoke_align.py --deepspeed deepspeed_zero3

from mmengine.config import read_base
from mmengine.optim import OptimWrapper

with read_base():
    from .pallava_domain_alignment import *

parts.update(
    llm="tiny-untrained-llama",
    vision_tower=None,
    random_vision_seed=0,
    vision_config=dict(
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    ),
    projector_config=dict(num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, dropout=0.0),
)
model.llm.update(model=parts, torch_dtype="float32")
model.llm_lora.update(r=16, lora_alpha=32, lora_dropout=0.0)
train_dataloader.update(batch_size=4, num_workers=0)
train_dataloader.dataset.update(
    model=parts, format="drawn", data_path="pallava_smoke_images", image_folder=None, max_length=512
)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(max_new_tokens=16)

optim_wrapper.optimizer.update(lr=2e-3)
optim_wrapper = dict(  # no float16 on a CPU
    type=OptimWrapper,
    optimizer=optim_wrapper.optimizer,
    clip_grad=optim_wrapper.clip_grad,
    accumulative_counts=1,
)
max_epochs = 2
train_cfg.update(max_epochs=max_epochs)
param_scheduler = []
default_hooks.logger.update(interval=1)
default_hooks.checkpoint.update(interval=4)
env_cfg.dist_cfg.update(backend="gloo")
