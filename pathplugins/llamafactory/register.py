"""Teach this process's LLaMA-Factory our names, module by module, as each is imported."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

LANGUAGE_KEYS = ["model.layers", "model.embed_tokens", "model.norm", "model.final_layernorm", "lm_head"]
"""Substrings by which LLaMA-Factory freezes the language model; ``model`` alone would match other parts too."""


def _replace(module: ModuleType, name: str, make: Callable[[ModuleType], Callable[..., Any]]) -> None:
    """Put ``make(module)`` in the place of a function of the trainer, once."""
    original = getattr(module, name)
    if not getattr(original, "by_pathplugins", False):
        replacement = functools.wraps(original)(make(module))
        replacement.by_pathplugins = True
        setattr(module, name, replacement)


def _replace_class(module: ModuleType, name: str, ours: Callable[[type], type]) -> None:
    """Put a subclass in the place of a class of the trainer, once."""
    original = getattr(module, name)
    if not getattr(original, "by_pathplugins", False):
        replacement = ours(original)
        replacement.by_pathplugins = True
        setattr(module, name, replacement)


def on_mm_plugin(module: ModuleType) -> None:
    """Register, in ``llamafactory.data.mm_plugin``, the plugins that read images and bags."""
    from pathplugins.llamafactory import mm_plugin as ours

    pairs = [(ours.PLUGIN, ours.PathologyPlugin), (ours.LLAVA_PLUGIN, ours.LlavaPlugin)]
    for name, plugin in [*pairs, (ours.TURN_PLUGIN, ours.TurnPlugin)]:
        if name not in module.PLUGINS:
            module.register_mm_plugin(name, plugin)


def on_template(module: ModuleType) -> None:
    """Register, in ``llamafactory.data.template``, the templates that use the plugin."""
    from pathplugins.llamafactory.template_checks import with_family_check
    from pathplugins.llamafactory.templates import register_templates

    register_templates(module)
    _replace(module, "get_template_and_fix_tokenizer", with_family_check)


def on_converter(module: ModuleType) -> None:
    """Register, in ``llamafactory.data.converter``, one converter per record format."""
    from pathplugins.data.formats import FORMATS, PREFERENCE_FORMATS
    from pathplugins.llamafactory.bag_folder import BAG_FOLDER
    from pathplugins.llamafactory.converters import record_converter

    for name in (*FORMATS, *PREFERENCE_FORMATS, BAG_FOLDER):
        if name not in module.DATASET_CONVERTERS:
            module.register_dataset_converter(name, record_converter(module))


def on_loader(module: ModuleType) -> None:
    """Let ``llamafactory.data.loader`` read and check our formats by our readers."""
    from pathplugins.llamafactory.datasets import read_our_formats

    _replace(module, "_load_single_dataset", read_our_formats)


def on_parser(module: ModuleType) -> None:
    """Add our YAML keys to ``llamafactory.hparams.parser``."""
    from pathplugins.llamafactory.arguments import PathModelArguments
    from pathplugins.llamafactory.yaml_files import tolerant_reader

    base = next(cls for cls in PathModelArguments.__mro__ if cls.__name__ == "ModelArguments")
    for name in ("_TRAIN_ARGS", "_INFER_ARGS", "_EVAL_ARGS"):
        classes = getattr(module, name)
        if base in classes:
            classes[classes.index(base)] = PathModelArguments
    _replace(module, "read_args", tolerant_reader)
    # DPO and PPO call the base class with the fields of the subclass.
    if not getattr(base.copyfrom, "by_pathplugins", False):
        base.copyfrom = classmethod(_copy_with_the_class_of_the_source(base.copyfrom.__func__))


def _copy_with_the_class_of_the_source(copyfrom: Callable[..., Any]) -> Callable[..., Any]:
    def copy(cls: type, source: Any, **changes: Any) -> Any:
        del cls
        return copyfrom(type(source), source, **changes)

    copy.by_pathplugins = True
    return copy


def on_visual(module: ModuleType) -> None:
    """Tell ``llamafactory.model.model_utils.visual`` what freezing and LoRA call our parts."""
    register = module._register_composite_model
    key = "projector_keys" if "projector_keys" in inspect.signature(register).parameters else "projector_key"
    projector = ["multi_modal_projector"] if key == "projector_keys" else "multi_modal_projector"
    register(
        model_type="custom_llava",
        vision_model_keys=["vision_tower"],
        language_model_keys=LANGUAGE_KEYS,
        **{key: projector},
    )


def on_quantization(module: ModuleType) -> None:
    """Let ``llamafactory.model.model_utils.quantization`` leave our parts whole."""
    from pathplugins.llamafactory.quantization import whole_parts

    _replace(module, "configure_quantization", whole_parts)


def on_model_loader(module: ModuleType) -> None:
    """Register the Auto classes, for Transformers may have been imported before the hook was in place."""
    from pathplugins.models.custom_llava.auto import register

    del module
    register()


def on_workflow(module: ModuleType) -> None:
    """Let ``llamafactory.train.<stage>.workflow`` use our trainer for our models, or refuse the stage."""
    from pathplugins.llamafactory.stage_runs import with_our_trainer

    stage = module.__name__.split(".")[-2]
    _replace(module, f"run_{stage}", functools.partial(with_our_trainer, stage=stage))


def on_chat_engine(module: ModuleType) -> None:
    """Let ``llamafactory.chat.hf_engine`` refuse questions without an image, which our models would answer anyhow."""
    from pathplugins.llamafactory.chat_engine import asking_with_images

    _replace_class(module, "HuggingfaceEngine", asking_with_images)


def on_terminal_chat(module: ModuleType) -> None:
    """Let ``llamafactory.chat.chat_model`` take the names of files in a chat in a terminal."""
    from pathplugins.llamafactory.chat_files import chatting_about_files

    _replace(module, "run_chat", chatting_about_files)


def on_web_chat(module: ModuleType) -> None:
    """Let ``llamafactory.webui.chatter`` take the names of files that the server may read."""
    from pathplugins.llamafactory.chat_files import with_files
    from pathplugins.llamafactory.media_files import media_file

    _replace_class(module, "WebChatModel", functools.partial(with_files, place=media_file))


def on_api(module: ModuleType) -> None:
    """Let ``llamafactory.api.chat`` hand bags to our models, and answer 400 where they cannot be asked."""
    from pathplugins.llamafactory.api_images import answering_with_images, streaming_with_images

    _replace(module, "create_chat_completion_response", answering_with_images)
    _replace(module, "create_stream_chat_completion_response", streaming_with_images)


HOOKS: dict[str, Callable[[ModuleType], None]] = {
    "llamafactory.api.chat": on_api,
    "llamafactory.chat.chat_model": on_terminal_chat,
    "llamafactory.chat.hf_engine": on_chat_engine,
    "llamafactory.data.mm_plugin": on_mm_plugin,
    "llamafactory.data.template": on_template,
    "llamafactory.data.converter": on_converter,
    "llamafactory.data.loader": on_loader,
    "llamafactory.hparams.parser": on_parser,
    "llamafactory.model.model_utils.quantization": on_quantization,
    "llamafactory.model.model_utils.visual": on_visual,
    "llamafactory.model.loader": on_model_loader,
    "llamafactory.webui.chatter": on_web_chat,
    **{f"llamafactory.train.{stage}.workflow": on_workflow for stage in ("pt", "sft", "rm", "ppo", "dpo", "kto")},
}


def apply(name: str, module: ModuleType) -> None:
    """Run the hook of one module. Doing so again changes nothing."""
    HOOKS[name](module)
