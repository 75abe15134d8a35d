# What every pathology config shares: one model, one data pipeline, the runtime. Not a run of its own.
# Needs:  a config that reads this one and names the parts and the data, such as pallava_domain_alignment.py
# Change: in your config, e.g. `train_dataloader.update(batch_size=2)`; a value here is the published PA-LLaVA one

from mmengine.hooks import DistSamplerSeedHook, IterTimerHook, LoggerHook, ParamSchedulerHook
from mmengine.optim import AmpOptimWrapper, CosineAnnealingLR

from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.evaluation import EvaluationHook
from pathplugins.xtuner.hooks import PathologyChatHook, SameRunHook
from pathplugins.xtuner.loop import PathologyTrainLoop
from pathplugins.xtuner.model import PathologyLLaVAModel
from pathplugins.xtuner.optim import adamw_by_module
from pathplugins.xtuner.parts import load_model
from pathplugins.xtuner.samplers import EpochSampler
from pathplugins.xtuner.schedule import WarmUpLR
from pathplugins.xtuner.whole_checkpoints import WholeCheckpointHook

model = dict(
    type=PathologyLLaVAModel,
    llm=dict(type=load_model),
    freeze_llm=True,
    freeze_visual_encoder=True,
    freeze_projector=False,
    use_activation_checkpointing=True,
)

train_dataloader = dict(
    batch_size=6,  # per GPU
    num_workers=16,
    dataset=dict(type=PathologyDataset, max_length=2048, on_bad_sample="error"),
    sampler=dict(type=EpochSampler, shuffle=True),
    collate_fn=dict(type=collate),
)

optim_wrapper = dict(
    type=AmpOptimWrapper,
    dtype="float16",
    loss_scale="dynamic",
    # not torch's AdamW: under --deepspeed only this entry survives, and it reads the rates that `lr_mult` of the model marks
    optimizer=dict(type=adamw_by_module, lr=1e-4, betas=(0.9, 0.999), weight_decay=0),
    clip_grad=dict(max_norm=1, error_if_nonfinite=False),
    accumulative_counts=6,
)
max_epochs = 9
warmup_ratio = 0.03
train_cfg = dict(type=PathologyTrainLoop, max_epochs=max_epochs)
param_scheduler = [
    dict(
        type=WarmUpLR,  # none where it would take fewer than 2 iterations
        start_factor=1e-5,
        by_epoch=True,
        begin=0,
        end=warmup_ratio * max_epochs,
        convert_to_iter_based=True,
    ),
    dict(
        type=CosineAnnealingLR,
        eta_min=0.0,
        by_epoch=True,
        begin=warmup_ratio * max_epochs,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]

custom_hooks = [
    dict(type=PathologyChatHook, every_n_iters=1000),
    dict(type=SameRunHook),
    # with a data_path it logs eval_loss, and eval_sanity_check_loss: the same with the vision tokens zeroed
    dict(type=EvaluationHook, data_path=None, every_n_iters=1000, do_sanity_check=True),
]
default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, log_metric_by_epoch=False, interval=10),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=WholeCheckpointHook, by_epoch=False, interval=2000, max_keep_ckpts=20),
    sampler_seed=dict(type=DistSamplerSeedHook),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
visualizer = None
log_level = "INFO"
log_processor = dict(by_epoch=False)
randomness = dict(seed=None, deterministic=False)
load_from = None
# the published configs resume whatever lies in the work directory; here only `--resume WORK_DIR/iter_N.pth` does
resume = False
