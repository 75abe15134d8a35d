"""The layout of the two published WSI-LLaVA files: every key they use, with other paths and model names, trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.host

SHARED = """
model_name_or_path: custom_llava
llm_name_or_path: {llm}
processor_name_or_path: llava-hf/llava-1.5-7b-hf
vision_tower: {root}/visual_tower.pt
vision_model_name: gigapath
vision_mode: wsi
trust_remote_code: true
mm_use_im_patch_token: false
mm_use_im_start_end: false
mm_projector_type: mlp2x_gelu
mm_hidden_size: 768
mm_vision_select_layer: -2
mm_vision_select_feature: patch
mm_patch_merge_type: flat
image_aspect_ratio: square
stage: sft
do_train: true
freeze_vision_tower: true
freeze_multi_modal_projector: false
dataset_dir: {root}/data
template: custom_vqa_llama3
cutoff_len: 2048
overwrite_cache: true
patches_per_wsi: 2048
dataloader_num_workers: 4
use_prefix_lm_mask: false
vision_feature_select_mode: random_sample
projector_dropout: 0.2
logging_steps: 10
plot_loss: true
overwrite_output_dir: true
save_only_model: false
report_to: none
num_train_epochs: 10.0
lr_scheduler_type: cosine
bf16: true
ddp_timeout: 180000000
max_grad_norm: 1.0
eval_strategy: steps
save_strategy: steps
save_total_limit: 3
load_best_model_at_end: true
metric_for_best_model: eval_loss
optim: adamw_torch
adam_beta1: 0.9
adam_beta2: 0.999
dataloader_pin_memory: true
dataloader_drop_last: true
gradient_checkpointing: true
seed: 42
"""

STAGE_2 = """
image_max_pixels: 262144
image_seq_length: 1536
train_from_scratch: false
ddp_find_unused_parameters: false
disable_gradient_checkpointing: false
finetuning_type: full
freeze_language_model: true
dataset: few_report
eval_dataset: few_report
preprocessing_num_workers: 8
gamma_min: 1.2
gamma_max: 1.8
output_dir: {root}/published2
run_name: stage2_projector_training
save_steps: 100
per_device_train_batch_size: 1
per_device_eval_batch_size: 4
gradient_accumulation_steps: 16
learning_rate: 1.0e-3
warmup_ratio: 0.0
weight_decay: 0.03
resume_from_checkpoint: null
eval_steps: 100
save_steps: 100
"""

STAGE_3 = """
projector_path: {root}/published2/mm_projector.bin
image_seq_length: 0
finetuning_type: lora
lora_target:
  - q_proj
  - gate_proj
  - down_proj
  - o_proj
  - k_proj
  - v_proj
  - up_proj
  - linear_1
  - linear_2
lora_rank: 32
lora_alpha: 64
lora_dropout: 0.05
loraplus_lr_ratio: 10.0
create_new_adapter: true
use_unsloth: false
freeze_language_model: false
dataset: few_vqa
eval_dataset: few_vqa
preprocessing_num_workers: 4
gamma_min: 1.8
gamma_max: 1.9
do_sanity_check: true
output_dir: {root}/published3
run_name: stage3_vqa_training
save_steps: 100
per_device_train_batch_size: 2
per_device_eval_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 2.0e-5
warmup_ratio: 0.1
weight_decay: 0.05
eval_steps: 30
save_steps: 30
"""


@pytest.fixture(scope="module")
def published(toy: Any, save_tower: Callable[..., None]) -> Callable[[str], Path]:
    """Write one of the two files; the tower is as wide as they say, and one layer deep."""
    save_tower(toy.root / "visual_tower.pt", embed_dim=768, depth=1, num_heads=16)

    def write(stage: str) -> Path:
        path = toy.root / "published.yaml"
        path.write_text((SHARED + stage).format(root=toy.root, llm=toy.llm))
        return path

    return write


def test_both_published_files_train(run: Callable[..., Any], toy: Any, published: Callable[[str], Path]) -> None:
    """One after the other: stage 3 starts from what stage 2 writes; only the number of steps is cut."""
    shorter = {"max_steps": 2, "eval_steps": 2, "gradient_accumulation_steps": 2}
    shorter["use_cpu"] = True  # or Transformers refuses bf16 where there is no GPU
    second = run("train", published(STAGE_2), {**shorter, "output_dir": toy.root / "published2"})
    assert second.state()["global_step"] == 2
    assert "gives save_steps in lines" in second.log
    state = torch.load(toy.root / "published2" / "mm_projector.bin", weights_only=True)
    assert "gamma_logit" in state, "mlp2x_gelu with gamma_* keys is the published connector"
    third = run("train", published(STAGE_3), {**shorter, "output_dir": toy.root / "published3"})
    assert third.state()["global_step"] == 2
    assert "image_seq_length is 0" in third.log
    assert "gamma" in third.log
    assert third.logged("eval_sanity_check_loss").keys() == third.logged("eval_loss").keys() == {2}
    assert (toy.root / "published3" / "adapter_model.safetensors").is_file()
