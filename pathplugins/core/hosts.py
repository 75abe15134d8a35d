"""Every symbol of a trainer that we lean on, as data, and every name of ours that a trainer must know."""

from __future__ import annotations

from pathplugins.core.touch_points import Registration, TouchPoint

_OWN = "Transformers' Trainer and the trainer's data pipeline take plug-ins of their own"
_ARGS = "upstream takes extra argument classes"
_MEDIA = ("images", "videos", "audios", "processor")

_DEEPSPEED = TouchPoint(
    path="deepspeed.runtime.zero.partition_parameters:Init._allgather_params_coalesced",
    uses=("self", "param_list"),
    why="replaced without a GPU: else ZeRO-3 loses weights while it loads them, see pathplugins.deepspeed_cpu",
    drop_when="DeepSpeed waits for each weight it gathers",
    optional=True,
)

LLAMAFACTORY: tuple[TouchPoint, ...] = (
    TouchPoint(
        path="llamafactory.data.mm_plugin:register_mm_plugin",
        uses=("name", "plugin_class"),
        why="our plugin knows how many tokens an image or a slide takes, and reads it",
    ),
    TouchPoint(
        path="llamafactory.data.mm_plugin:get_mm_plugin",
        uses=("name", "image_token", "video_token"),
        why="a template carries an instance of its plugin",
    ),
    TouchPoint(
        path="llamafactory.data.mm_plugin:BasePlugin.process_messages",
        uses=("messages", *_MEDIA),
        why="overridden: each <image> becomes as many tokens as the image has features",
    ),
    TouchPoint(
        path="llamafactory.data.mm_plugin:BasePlugin.process_token_ids",
        uses=("input_ids", "labels", "tokenizer", *_MEDIA),
        why="inherited: the pipeline calls it after tokenization",
    ),
    TouchPoint(
        path="llamafactory.data.mm_plugin:BasePlugin.get_mm_inputs",
        uses=("imglens", "vidlens", "audlens", "batch_ids", *_MEDIA),
        why="overridden: feature bags and images are read here, in the data workers",
    ),
    TouchPoint(
        path="llamafactory.data.template:register_template",
        uses=("name", "mm_plugin", "default_system", "format_user", "replace_jinja_template"),
        why="our templates are the stock ones of the language model with our plugin",
    ),
    TouchPoint(
        path="llamafactory.data.template:Template.encode_multiturn",
        uses=("tokenizer", "messages", "system", "tools"),
        why="overridden by the templates of LLaVA v1.5, which tokenize text around images, not slots",
    ),
    TouchPoint(
        path="llamafactory.data.template:Template.encode_oneturn",
        uses=("tokenizer", "messages", "system", "tools"),
        why="likewise, where an answer is generated",
    ),
    TouchPoint(
        path="llamafactory.data.template:Template.fix_jinja_template",
        uses=("tokenizer",),
        why="likewise, so that the saved tokenizer asks the way the model was trained",
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer._get_train_sampler",
        uses=("self",),
        why="overridden for group_by_modality_length; nothing public chooses the order of samples",
        drop_when="upstream groups samples by modality",
    ),
    TouchPoint(
        path="llamafactory.data.mm_plugin:PLUGINS",
        uses=("base", "llava"),
        why="registering a name twice raises, and nothing public says which are taken",
        drop_when="upstream lets a name be registered twice",
    ),
    TouchPoint(
        path="llamafactory.data.template:TEMPLATES",
        uses=("llama3", "vicuna"),
        why="their slots are reused; nothing public lists the templates",
        drop_when="upstream exposes a template by name",
    ),
    TouchPoint(
        path="llamafactory.data.converter:register_dataset_converter",
        uses=("name", "dataset_converter"),
        why="a dataset_info.json names our formats in `formatting`",
    ),
    TouchPoint(
        path="llamafactory.data.converter:DATASET_CONVERTERS",
        uses=("alpaca", "sharegpt"),
        why="registering a name twice raises, and nothing public says which are taken",
        drop_when="upstream lets a name be registered twice",
    ),
    TouchPoint(
        path="llamafactory.data.converter:DatasetConverter",
        uses=("dataset_attr", "data_args"),
        why="base class of our converter",
    ),
    TouchPoint(
        path="llamafactory.data.loader:_load_single_dataset",
        uses=("dataset_attr", "model_args", "data_args", "training_args"),
        why="replaced: our formats are read and checked here, before anything is tokenized",
        drop_when="upstream lets a converter read its own files",
    ),
    TouchPoint(
        path="llamafactory.data.loader:get_dataset_list",
        uses=("dataset_names", "dataset_dir"),
        why="all datasets of a run are checked together, so that one report names every bad row",
        drop_when="upstream lets a converter read its own files",
    ),
    TouchPoint(
        path="llamafactory.data.collator:SFTDataCollatorWith4DAttentionMask",
        uses=("template", "processor"),
        why="training gets a copy of the collator whose processor knows the epoch",
        drop_when="upstream tells the collator the epoch",
    ),
    TouchPoint(
        path="llamafactory.hparams.parser:read_args",
        uses=("args",),
        why="replaced: the published files give a key twice, and an unknown key is answered with the nearest",
        drop_when="upstream reads files with a repeated key and suggests names",
    ),
    TouchPoint(
        path="llamafactory.hparams.parser:RayArguments",
        uses=("ray_num_workers",),
        why="its fields are keys of a YAML too, in no list of argument classes",
        drop_when="upstream suggests names for unknown keys",
    ),
    TouchPoint(
        path="llamafactory.extras.misc:try_download_model_from_other_hub",
        uses=("model_args",),
        why="llm_name_or_path may be an id of ModelScope or Modelers, by the trainer's own switches",
        drop_when="we stop taking hub ids for llm_name_or_path",
    ),
    TouchPoint(
        path="llamafactory.hparams.parser:_TRAIN_ARGS",
        uses=("ModelArguments", "DataArguments"),
        why="keys such as vision_tower are real, typed keys of a training YAML",
        drop_when=_ARGS,
    ),
    TouchPoint(
        path="llamafactory.hparams.parser:_INFER_ARGS",
        uses=("ModelArguments", "DataArguments"),
        why="the same keys in chat, api and export",
        drop_when=_ARGS,
    ),
    TouchPoint(
        path="llamafactory.hparams.parser:_EVAL_ARGS",
        uses=("ModelArguments", "DataArguments"),
        why="the same keys in eval",
        drop_when=_ARGS,
    ),
    TouchPoint(
        path="llamafactory.hparams:ModelArguments.copyfrom",
        uses=("source",),
        why="DPO and PPO copy the arguments with the base class and would drop our keys",
        drop_when="upstream copies with type(source)",
    ),
    TouchPoint(
        path="llamafactory.model.model_utils.visual:_register_composite_model",
        uses=("model_type", "vision_model_keys", "language_model_keys", "lora_conflict_keys"),
        why="freezing and LoRA read this table (projector_key or projector_keys: the adapter asks the signature)",
        drop_when="upstream exposes register_composite_model",
    ),
    TouchPoint(
        path="llamafactory.train.sft.workflow:run_sft",
        uses=("model_args", "data_args", "training_args", "finetuning_args"),
        why="replaced: options that cannot work with our models are refused before anything is loaded",
        drop_when=_OWN,
    ),
    TouchPoint(
        path="llamafactory.train.sft.workflow:CustomSeq2SeqTrainer",
        uses=("finetuning_args", "processor", "gen_kwargs"),
        why="replaced by our subclass while a run of our models lasts",
        drop_when=_OWN,
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer.evaluate",
        uses=("eval_dataset", "ignore_keys", "metric_key_prefix", "gen_kwargs"),
        why="overridden: evaluates once more without vision",
        drop_when=_OWN,
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer._save",
        uses=("output_dir", "state_dict"),
        why="overridden: writes the connector beside the model; the weights are gathered at this point",
        drop_when="Transformers calls back with the gathered weights",
    ),
    _DEEPSPEED,
)
"""Checked against every LLaMA-Factory in ``versions.TESTED``."""

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
        why="the shipped configs train with it",
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
        why="replaced without a GPU: gloo instead of nccl, no CUDA device",
        drop_when=_NO_GPU,
    ),
    TouchPoint(path="mmengine.dist.utils:torch_dist.init_process_group", why="what that calls", drop_when=_NO_GPU),
    TouchPoint(
        path="mmengine.model.wrappers.distributed:MMDistributedDataParallel.__init__",
        uses=("module",),
        why="replaced without a GPU: no device numbers",
        drop_when=_NO_GPU,
    ),
    TouchPoint(
        path="mmengine.model.base_model.data_preprocessor:BaseDataPreprocessor.cuda",
        why="replaced without a GPU: XTuner 0.1.23 calls it under DeepSpeed",
        drop_when="0.1.23 is no longer supported",
    ),
    TouchPoint(
        path="mmengine.optim.optimizer.amp_optimizer_wrapper:AmpOptimWrapper.__init__",
        uses=("loss_scale", "dtype", "use_fsdp"),
        why="replaced without a GPU: bfloat16 on the CPU, whatever half precision a config names",
        drop_when=_NO_GPU,
    ),
    TouchPoint(
        path="xtuner.tools.utils:auto_dtype_of_deepspeed_config",
        uses=("ds_config",),
        why="replaced without a GPU: asks torch.cuda for the half precision of `auto`",
        drop_when=_NO_GPU,
    ),
    TouchPoint(
        path="bitsandbytes.triton.triton_utils:is_triton_available",
        why="replaced: says yes beside triton 3.2 or newer, whose lack of triton.ops then breaks every LoRA run",
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
    _DEEPSPEED,
)
"""Checked against every XTuner in ``versions.TESTED``."""

TRAINERS: dict[str, tuple[TouchPoint, ...]] = {"llamafactory": LLAMAFACTORY, "xtuner": XTUNER}
"""By the name of the package."""


REGISTERED: tuple[Registration, ...] = (
    Registration(kind="template", table="llamafactory.data.template:TEMPLATES", name="custom_vqa_llama3"),
    Registration(kind="template", table="llamafactory.data.template:TEMPLATES", name="patch_vqa_llama3"),
    Registration(kind="template", table="llamafactory.data.template:TEMPLATES", name="pathgen_plain"),
    Registration(kind="template", table="llamafactory.data.template:TEMPLATES", name="pathgen_v1"),
    Registration(kind="mm plugin", table="llamafactory.data.mm_plugin:PLUGINS", name="pathplugins"),
    Registration(kind="dataset formatting", table="llamafactory.data.converter:DATASET_CONVERTERS", name="wsi_csv"),
    Registration(kind="dataset formatting", table="llamafactory.data.converter:DATASET_CONVERTERS", name="llava"),
    Registration(
        kind="composite model", table="llamafactory.model.model_utils.visual:COMPOSITE_MODELS", name="custom_llava"
    ),
    Registration(kind="training argument", table="llamafactory.hparams.parser:_TRAIN_ARGS", name="vision_tower"),
)
"""Of LLaMA-Factory; configs of XTuner import what they name."""
