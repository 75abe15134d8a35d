"""Hooks of the configs: ask the model while it trains, and refuse to resume a checkpoint of a different run."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from transformers.integrations import is_deepspeed_zero3_enabled

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER
from pathplugins.xtuner.chat_template import jinja_template
from pathplugins.xtuner.configs import words_of
from pathplugins.xtuner.conversations import resolve_template
from pathplugins.xtuner.options import options_of
from pathplugins.xtuner.parts import Model, load_processor


class PathologyChatHook(Hook):
    """Ask the model before, while and after it trains, about the same images as a user would.

    The image goes through the model's own processor, so that all of its tiles (or the bag's patches) are seen, and the
    prompt is the one of the training data. XTuner's hook knows CLIP and one picture. Answers are greedy: they change
    only when the model does.

    Args:
        evaluation_inputs: questions; none by default.
        evaluation_images: one image or bag for all questions, or one each; None asks without.
        every_n_iters: how often; None asks at both ends only.
        max_new_tokens: length of an answer.
        model: as in the dataset of the config, from where it is taken by default.
        prompt_template: likewise.
        system: likewise.
    """

    priority = "LOW"

    @options_of("PathologyChatHook")
    def __init__(
        self,
        evaluation_inputs: Sequence[str] | str = (),
        evaluation_images: Sequence[str] | str | None = None,
        *,
        every_n_iters: int | None = None,
        max_new_tokens: int = 128,
        model: Model | None = None,
        prompt_template: Any = None,
        system: str | None = None,
    ) -> None:
        self.questions = [evaluation_inputs] if isinstance(evaluation_inputs, str) else list(evaluation_inputs)
        images = [evaluation_images] if isinstance(evaluation_images, str) else list(evaluation_images or [])
        if len(images) not in (0, 1, len(self.questions)):
            raise PathPluginsError(
                f"evaluation_images: {len(images)} for {len(self.questions)} evaluation_inputs; give one, or one each"
            )
        for image in images:
            if not Path(image).is_file():
                raise PathPluginsError(f"evaluation_images: {image} does not exist; name an image, or set it to None")
        self.images = images * len(self.questions) if len(images) == 1 else images
        self.every_n_iters = every_n_iters
        self.max_new_tokens = max_new_tokens
        self._named = {"model": model, "prompt_template": prompt_template, "system": system}
        self.processor: Any = None
        self.template: str | None = None
        self.stop_words: list[str] = []

    def before_run(self, runner: Any) -> None:
        """Take what is not named here from the training data's part of the config: one wording for both."""
        said = words_of(runner.cfg) if None in self._named.values() else {}
        named = {key: said.get(key) if value is None else value for key, value in self._named.items()}
        self.processor = copy.deepcopy(load_processor(named["model"]))  # it gets another chat template
        if named["prompt_template"] is not None:
            words = {"system": named["system"] or "", "tokenizer": self.processor.tokenizer}
            self.template = jinja_template(named["prompt_template"], **words)
            self.processor.tokenizer.chat_template = self.template
            self.stop_words = list(resolve_template(named["prompt_template"]).get("STOP_WORDS", []))

    def before_train(self, runner: Any) -> None:
        """Ask before the first step."""
        self._ask(runner)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Ask every ``every_n_iters`` steps."""
        if self.every_n_iters is not None and self.every_n_train_iters(runner, self.every_n_iters):
            self._ask(runner)

    def after_train(self, runner: Any) -> None:
        """Ask after the last step."""
        self._ask(runner)

    def prompts(self) -> list[tuple[str, list[str]]]:
        """Return text and images of each question."""
        asked = []
        for number, question in enumerate(self.questions):
            owned = [self.images[number]] if self.images else []
            turn = {"role": "user", "content": f"{PLACEHOLDER}\n{question}" if owned else question}
            text = self.processor.tokenizer.apply_chat_template(
                [turn], chat_template=self.template, tokenize=False, add_generation_prompt=True
            )
            asked.append((text, owned))
        return asked

    @torch.no_grad()
    def _ask(self, runner: Any) -> None:
        if not self.questions:
            return
        model = _unwrapped(runner.model)
        core, training, lines = model.llm, model.training, []
        device = next(iter(core.parameters())).device
        tokenizer = self.processor.tokenizer
        stops = [tokenizer.convert_tokens_to_ids(word) for word in self.stop_words]
        model.eval()
        try:
            for text, owned in self.prompts():
                inputs = self.processor(text, owned).to(device)
                output = core.generate(
                    **inputs,
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                    use_cache=True,
                    eos_token_id=[tokenizer.eos_token_id, *(stop for stop in stops if stop is not None)],
                    pad_token_id=tokenizer.pad_token_id,
                    synced_gpus=is_deepspeed_zero3_enabled(),
                )
                answer = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
                lines.append(f"{text.replace(tokenizer.bos_token or PLACEHOLDER, '')}{answer}")
        finally:
            model.train(training)
        for line in lines:
            runner.logger.info(f"Sample output:\n{line}\n")
        if is_main_process():
            path = Path(runner.log_dir) / "vis_data" / f"eval_outputs_iter_{runner.iter}.txt"
            write_text_whole(path, "\n\n".join(lines) + "\n")


class SameRunHook(Hook):
    """Refuse to resume a run of other weights, data or trained parts.

    The published configs resume whatever lies in the work directory. What a run is made of travels in the message hub,
    which mmengine writes into every checkpoint and reads back before training continues.
    """

    priority = "VERY_HIGH"

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Compare before weights and optimizer are taken over; under DeepSpeed nobody calls this."""
        if runner.cfg.get("resume"):
            _compare(runner, checkpoint.get("message_hub", {}).get("runtime_info", {}).get(_INFO))

    def before_train(self, runner: Any) -> None:
        """Compare after mmengine has resumed and before the first step; note what this run is made of."""
        if runner.iter > 0:
            _compare(runner, runner.message_hub.runtime_info.get(_INFO))
        runner.message_hub.update_info(_INFO, json.dumps(_made_of(runner)), resumed=True)


_INFO = "pathplugins_run"


def _unwrapped(model: Any) -> Any:
    """Return our model without what DDP or DeepSpeed put around it."""
    return model.module if is_model_wrapper(model) else model


def _compare(runner: Any, earlier: str | None) -> None:
    if earlier is None:
        raise CheckpointError(
            f"the checkpoint resumed in {runner.work_dir} is not of a run of pathplugins; start without --resume"
        )
    before, now = json.loads(earlier), json.loads(json.dumps(_made_of(runner)))
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if names:
        changed = "; ".join(f"{name} was {before.get(name)}, is {now.get(name)}" for name in names)
        raise CheckpointError(
            f"this is not the run that is resumed: {changed}; restore these, or start without --resume "
            "(pretrained_pth takes over weights only)"
        )


def _made_of(runner: Any) -> dict[str, Any]:
    model, dataset = runner.cfg.model, runner.train_dataloader.dataset
    shapes = _unwrapped(runner.model).trained_shapes()
    described = hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:8]
    parts = json.loads(json.dumps(model.llm.to_dict().get("model"), default=str))
    return {
        **({f"model.{name}": part for name, part in parts.items()} if isinstance(parts, dict) else {"model": parts}),
        "pretrained_pth": model.get("pretrained_pth"),
        "what is trained": f"{sum(map(math.prod, shapes.values()))} weights in {len(shapes)} tensors ({described})",
        "the number of samples": len(dataset),
    }
