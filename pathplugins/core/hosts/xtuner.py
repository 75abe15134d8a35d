"""Every symbol of XTuner, and of what it trains with, that we lean on, as data."""

from __future__ import annotations

from pathplugins.core.hosts.deepspeed import DEEPSPEED
from pathplugins.core.touch_points import TouchPoint

_NO_GPU = "upstream trains on a machine without a GPU"

XTUNER: tuple[TouchPoint, ...] = (
    TouchPoint(
        path="xtuner.registry:BUILDER.build",
        uses=("cfg",),
        why="the parts a config names are built by it",
    ),
    TouchPoint(
        path="xtuner.utils:PROMPT_TEMPLATE",
        uses=("llama3_chat", "vicuna"),
        why="training data are worded by its entries",
    ),
    *(
        TouchPoint(path=f"xtuner.utils:{name}", why="our token ids and labels are XTuner's")
        for name in ("IGNORE_INDEX", "IMAGE_TOKEN_INDEX", "DEFAULT_PAD_TOKEN_INDEX", "DEFAULT_IMAGE_TOKEN")
    ),
    TouchPoint(
        path="xtuner.dataset.utils:get_bos_eos_token_ids",
        uses=("tokenizer",),
        why="which tokens begin and end a text differs for some tokenizers",
    ),
    TouchPoint(
        path="xtuner.dataset.utils:encode_fn",
        uses=("example", "tokenizer", "max_length", "with_image_token"),
        why="rows of a folder that XTuner tokenized are tokenized again, to see whether the tokenizer is the model's",
    ),
    TouchPoint(
        path="xtuner.dataset.samplers:LengthGroupedSampler",
        uses=("dataset", "per_device_batch_size", "length_property"),
        why="base class of ours, which tells the dataset the epoch",
    ),
    TouchPoint(
        path="xtuner.engine.runner:TrainLoop",
        uses=("runner", "dataloader", "max_iters", "max_epochs"),
        why="base class of ours, which is built before the schedule is and before any checkpoint is read",
    ),
    TouchPoint(
        path="mmengine.hooks:CheckpointHook._save_checkpoint_with_step",
        uses=("runner", "step", "meta"),
        why="overridden: a checkpoint takes its name once it is whole, and the oldest goes after that",
        drop_when="upstream does so",
    ),
    TouchPoint(
        path="mmengine.optim:LinearLR.build_iter_from_epoch",
        uses=("begin", "end", "by_epoch", "epoch_length"),
        why="overridden: a warm-up under two iterations is left out",
        drop_when="a warm-up of one iteration leaves its start_factor",
    ),
    TouchPoint(
        path="mmengine.runner:IterBasedTrainLoop.run",
        why="passes over as many batches as a resumed run has trained on; ours come unread",
    ),
    TouchPoint(
        path="mmengine.runner:Runner.resume",
        uses=("filename",),
        why="takes the schedule's length out of a checkpoint, which is set to the run's again",
    ),
    TouchPoint(
        path="mmengine.runner:find_latest_checkpoint", uses=("path",), why="tells what `resume = True` would go on from"
    ),
    TouchPoint(
        path="xtuner.model:LLaVAModel.to_hf",
        uses=("cfg", "save_dir", "fp32", "save_pretrained_kwargs", "save_format"),
        why="`xtuner convert pth_to_hf` calls the method of our model as it calls this one",
    ),
    TouchPoint(path="mmengine.config:Config.fromfile", uses=("filename",), why="preprocess and export read configs"),
    TouchPoint(
        path="mmengine.utils.misc:get_object_from_string",
        uses=("obj_name",),
        why="a config that MMEngine wrote down names its prompt template by a dotted path",
    ),
    TouchPoint(path="mmengine.dataset:DefaultSampler.set_epoch", uses=("epoch",), why="overridden: tells the dataset"),
    TouchPoint(
        path="mmengine.hooks:Hook.after_train_iter",
        uses=("runner", "batch_idx", "data_batch", "outputs"),
        why="overridden: asks the model about an image while it trains",
    ),
    TouchPoint(path="mmengine.model:is_model_wrapper", uses=("model",), why="finds our model inside DDP and DeepSpeed"),
    TouchPoint(path="mmengine.model:BaseModel.state_dict", why="overridden: only what is trained is saved"),
    TouchPoint(path="mmengine.device:get_device", why="tells whether MMEngine would train on the CPU"),
    TouchPoint(
        path="mmengine.logging:HistoryBuffer",
        uses=("log_history", "count_history", "max_length"),
        why="the one class in MMEngine's checkpoints that PyTorch 2.6 has to be told of before it resumes",
        drop_when="upstream saves plain numbers, or names the class itself",
    ),
    TouchPoint(
        path="mmengine.dist.utils:_init_dist_pytorch",
        uses=("backend", "init_backend"),
        replaced="without a GPU",
        why="gloo instead of nccl, no CUDA device",
        drop_when=_NO_GPU,
    ),
    TouchPoint(path="mmengine.dist.utils:torch_dist.init_process_group", why="what that calls", drop_when=_NO_GPU),
    TouchPoint(
        path="mmengine.model.wrappers.distributed:MMDistributedDataParallel.__init__",
        uses=("module",),
        replaced="without a GPU",
        why="no device numbers",
        drop_when=_NO_GPU,
    ),
    TouchPoint(
        path="mmengine.model.base_model.data_preprocessor:BaseDataPreprocessor.cuda",
        replaced="without a GPU",
        why="XTuner 0.1.23 calls it under DeepSpeed",
        drop_when="0.1.23 is no longer supported",
    ),
    TouchPoint(
        path="mmengine.optim.optimizer.amp_optimizer_wrapper:AmpOptimWrapper.__init__",
        uses=("loss_scale", "dtype", "use_fsdp"),
        replaced="without a GPU",
        why="bfloat16 on the CPU, whatever half precision a config names",
        drop_when=_NO_GPU,
    ),
    TouchPoint(
        path="xtuner.tools.utils:auto_dtype_of_deepspeed_config",
        uses=("ds_config",),
        replaced="without a GPU",
        why="asks torch.cuda for the half precision of `auto`",
        drop_when=_NO_GPU,
    ),
    TouchPoint(
        path="xtuner.tools.chat:parse_args",
        why="`xtuner chat` imports its module before it starts it: a model of ours is answered with what asks it",
        drop_when="upstream asks models of other packages",
    ),
    TouchPoint(
        path="xtuner.tools.utils:get_seed_from_checkpoint",
        uses=("pth_model",),
        replaced="always",
        why="the first to open the checkpoint of --resume: one that is cut short is named, with the one before it",
        drop_when="upstream writes checkpoints whole or not at all",
    ),
    *(
        TouchPoint(
            path=f"mmengine.runner:{name}.__init__",
            uses=("model", "work_dir"),
            replaced="always",
            why="a run of ours asks first whether its work_dir can be written",
            drop_when="upstream says so in words before it loads a model",
        )
        for name in ("Runner", "FlexibleRunner")
    ),
    TouchPoint(
        path="bitsandbytes.triton.triton_utils:is_triton_available",
        replaced="beside triton 3.2 or newer",
        why="says yes beside triton 3.2 or newer, whose lack of triton.ops then breaks every LoRA run",
        drop_when="XTuner asks for bitsandbytes 0.45.1 or newer",
        optional=True,
    ),
    TouchPoint(
        path="triton.runtime.driver:driver.set_active",
        uses=("driver",),
        why="called without a GPU: else defining a kernel, as importing DeepSpeed does, fails",
        drop_when="triton asks for its GPU when a kernel runs",
        optional=True,
    ),
    DEEPSPEED,
)
"""Checked against every XTuner in ``versions.TESTED``."""
