"""Hooks of the configs: ask the model while it trains, and resume a run only as the one it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from transformers.integrations import is_deepspeed_zero3_enabled

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import is_file, write_text_whole
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER
from pathplugins.xtuner.chat_template import jinja_template
from pathplugins.xtuner.configs import words_of
from pathplugins.xtuner.conversations import resolve_template
from pathplugins.xtuner.loop import look_ahead
from pathplugins.xtuner.options import options_of
from pathplugins.xtuner.parts import Model, load_processor
from pathplugins.xtuner.resume import compare, conditions, go_on, take_order, unwrapped


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
            if not is_file(Path(image)):
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
        model = unwrapped(runner.model)
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
                lines.append(f"{text.replace(tokenizer.bos_token, '') if tokenizer.bos_token else text}{answer}")
        finally:
            model.train(training)
        for line in lines:
            runner.logger.info(f"Sample output:\n{line}\n")
        if is_main_process():
            path = Path(runner.log_dir) / "vis_data" / f"eval_outputs_iter_{runner.iter}.txt"
            write_text_whole(path, "\n\n".join(lines) + "\n")


class SameRunHook(Hook):
    """Resume a run as if it had not been interrupted, and refuse that of other weights, data, batches or settings.

    The published configs resume whatever lies in the work directory. What a run is made of travels in the message hub,
    which mmengine writes into every checkpoint and reads back before training continues.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Any) -> None:
        """Look at what `PathologyTrainLoop` looks at, for configs that train with another loop."""
        look_ahead(runner, runner.train_loop)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Compare before weights and optimizer are taken over; under DeepSpeed nobody calls this."""
        if not runner.cfg.get("resume"):
            return
        earlier = checkpoint.get("message_hub", {}).get("runtime_info", {}).get(_INFO)
        take_order(runner, checkpoint.get("meta", {}).get("seed"), earlier)
        compare(runner, earlier)
        had, has = len(checkpoint["optimizer"]["param_groups"]), len(runner.optim_wrapper.optimizer.param_groups)
        if had != has:
            raise CheckpointError(
                f"the optimizer of the checkpoint has {had} groups of weights and this run's {has}: earlier releases "
                "decayed biases and norms, too; end the run with the release that began it, or start a new one from "
                "its weights by pretrained_pth"
            )

    def before_train(self, runner: Any) -> None:
        """Take up the place of a run that mmengine has resumed; note what this run is made of."""
        if runner.iter > 0:
            go_on(runner, runner.message_hub.runtime_info.get(_INFO))
        runner.message_hub.update_info(_INFO, json.dumps(conditions(runner)), resumed=True)


_INFO = "pathplugins_run"
