"""Every symbol of LLaMA-Factory that we lean on, as data, and every name of ours that it must know."""

from __future__ import annotations

from pathplugins.core.hosts.deepspeed import DEEPSPEED
from pathplugins.core.touch_points import Registration, TouchPoint

_OWN = "Transformers' Trainer and the trainer's data pipeline take plug-ins of their own"
_ARGS = "upstream takes extra argument classes"
_MEDIA = ("images", "videos", "audios", "processor")

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
        path="llamafactory.data.template:get_template_and_fix_tokenizer",
        uses=("tokenizer", "data_args"),
        replaced="always",
        why="a template of another family than the language model is refused before a model is loaded",
        drop_when="upstream refuses stop words that the tokenizer lacks",
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer._get_train_sampler",
        uses=("self",),
        why="overridden for group_by_modality_length; nothing public chooses the order of samples",
        drop_when="upstream groups samples by modality",
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer._load_optimizer_and_scheduler",
        uses=("self", "checkpoint"),
        why="overridden for several processes on CPUs: it reads to cpu:0, which PyTorch does not know",
        drop_when="Transformers reads the optimizer on CPUs to cpu",
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
        replaced="always",
        why="our formats are read and checked here, before anything is tokenized",
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
        replaced="always",
        why="the published files give a key twice, and an unknown key is answered with the nearest",
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
        replaced="always",
        why="keys such as vision_tower are real, typed keys of a training YAML",
        drop_when=_ARGS,
    ),
    TouchPoint(
        path="llamafactory.hparams.parser:_INFER_ARGS",
        uses=("ModelArguments", "DataArguments"),
        replaced="always",
        why="the same keys in chat, api and export",
        drop_when=_ARGS,
    ),
    TouchPoint(
        path="llamafactory.hparams.parser:_EVAL_ARGS",
        uses=("ModelArguments", "DataArguments"),
        replaced="always",
        why="the same keys in eval",
        drop_when=_ARGS,
    ),
    TouchPoint(
        path="llamafactory.hparams:ModelArguments.copyfrom",
        uses=("source",),
        replaced="always",
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
        path="llamafactory.model.model_utils.quantization:configure_quantization",
        uses=("config", "model_args", "init_kwargs"),
        replaced="always",
        why="vision tower, selector and connector stay whole: quantized they could not be trained",
        drop_when="upstream quantizes language models alone",
    ),
    *(
        TouchPoint(
            path=f"llamafactory.train.{stage}.workflow:run_{stage}",
            uses=("model_args", "data_args", "training_args", "finetuning_args"),
            replaced="always",
            why="a stage, a key or an option that cannot work with our models is refused before anything is loaded",
            drop_when=_OWN,
        )
        for stage in ("sft", "rm", "dpo", "kto", "pt", "ppo")
    ),
    *(
        TouchPoint(
            path=path,
            uses=("finetuning_args", "processor"),
            replaced="while a run of our models lasts",
            why="our subclass trains them",
            drop_when=_OWN,
        )
        for path in (
            "llamafactory.train.sft.workflow:CustomSeq2SeqTrainer",
            "llamafactory.train.rm.workflow:PairwiseTrainer",
            "llamafactory.train.dpo.trainer:CustomDPOTrainer",
            "llamafactory.train.kto.workflow:CustomKTOTrainer",
        )
    ),
    *(
        TouchPoint(
            path=f"llamafactory.train.{stage}.workflow:get_dataset",
            uses=("template", "model_args", "data_args", "training_args", "processor"),
            replaced="while a run of our models lasts",
            why="every tokenized sample is looked at before the model is loaded",
            drop_when="upstream refuses samples that cutoff_len takes vision tokens of",
        )
        for stage in ("sft", "rm", "dpo", "kto")
    ),
    TouchPoint(
        path="llamafactory.train.kto.trainer:CustomKTOTrainer.forward",
        uses=("model", "batch", "prefix"),
        why="overridden: it hands on the image inputs of the models it knows, and not ours",
        drop_when="upstream hands on every input of the collator",
    ),
    TouchPoint(
        path="llamafactory.train.rm.trainer:PairwiseTrainer.compute_loss",
        uses=("model", "inputs"),
        why="overridden: scores are looked up by the positions of the input, which labels let the model change",
        drop_when="upstream gives the model no labels there",
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer.evaluate",
        uses=("eval_dataset", "ignore_keys", "metric_key_prefix", "gen_kwargs"),
        why="overridden: evaluates once more without vision",
        drop_when=_OWN,
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer.save_predictions",
        uses=("dataset", "predict_results"),
        why="overridden: each answer is written beside the bag or image that it is about",
        drop_when="upstream writes the images of a sample beside its answer",
    ),
    TouchPoint(
        path="llamafactory.train.sft.trainer:CustomSeq2SeqTrainer._save",
        uses=("output_dir", "state_dict"),
        why="overridden: writes the connector beside the model; the weights are gathered at this point",
        drop_when="Transformers calls back with the gathered weights",
    ),
    TouchPoint(
        path="llamafactory.chat.hf_engine:HuggingfaceEngine",
        uses=("model_args", "data_args"),
        replaced="always",
        why="our models are never asked without an image, and a bag they cannot read is refused with the reason",
        drop_when="upstream lets a template's plugin refuse messages",
    ),
    TouchPoint(
        path="llamafactory.chat.hf_engine:HuggingfaceEngine._process_args",
        uses=("processor", "template", "messages", "images"),
        why="overridden: every question of chat, api and webchat becomes model inputs here",
        drop_when="upstream lets a template's plugin refuse messages",
    ),
    TouchPoint(
        path="llamafactory.chat.chat_model:run_chat",
        replaced="always",
        why="a chat in a terminal takes the names of files",
        drop_when="upstream takes images in `chat`",
    ),
    TouchPoint(
        path="llamafactory.chat.chat_model:ChatModel.stream_chat",
        uses=("messages", "system", "tools", "images"),
        why="overridden while a chat runs in a terminal or a browser: it takes the names of files out of the messages",
    ),
    TouchPoint(
        path="llamafactory.webui.chatter:WebChatModel",
        uses=("manager",),
        replaced="always",
        why="webchat takes the names of bags, and shows why something is not answered",
        drop_when="upstream's page takes other files than pictures",
    ),
    *(
        TouchPoint(
            path=f"llamafactory.api.chat:{name}",
            uses=("request", "chat_model"),
            replaced="always",
            why="an image_url may name a bag, and what cannot be answered is a 400 with the reason",
            drop_when="upstream hands files on that are no pictures",
        )
        for name in ("create_chat_completion_response", "create_stream_chat_completion_response")
    ),
    DEEPSPEED,
)
"""Checked against every LLaMA-Factory in ``versions.TESTED``."""

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
"""Looked up by `pathplugins doctor`. XTuner has none: its configs import what they name."""
