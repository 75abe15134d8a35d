# PA-LLaVA stage 2: the model of stage 1 learns to answer questions (arXiv:2408.09530).
# Needs:  the iter_N.pth of pallava_domain_alignment.py, a JSONL of questions and answers:
#         pathdata convert path-vqa qas/train/train_qa.pkl --image-folder data/images --out data/instruct.jsonl
# Costs:  as published 12 epochs of 35,543 questions, 16 GPUs, 6 questions each, 4 batches a step
# Next:   pathplugins export xtuner work/tune/iter_N.pth --config pallava_instruction_tuning.py --out hf_model
# Run:    xtuner train pallava_instruction_tuning.py --work-dir work/tune

from mmengine.config import read_base

with read_base():
    from .pallava_domain_alignment import *

llm_name_or_path = "meta-llama/Meta-Llama-3-8B-Instruct"
vision_tower = "plip"
pretrained_pth = "work/align/iter_N.pth"
data_path = "data/instruct.jsonl"
image_folder = "data/images"
evaluation_images = None
evaluation_inputs = ["Describe the image.", "Which organ did this tissue section come from?"]

parts.update(llm=llm_name_or_path, vision_tower=vision_tower)
model.llm.update(model=parts)
model.update(
    pretrained_pth=pretrained_pth,
    lr_mult=dict(multi_modal_projector=0.5),  # holds under --deepspeed too, where XTuner drops paramwise_cfg
)
train_dataloader.dataset.update(model=parts, data_path=data_path, image_folder=image_folder)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs=evaluation_inputs, evaluation_images=evaluation_images)

max_epochs = 12
warmup_ratio = 0.03
optim_wrapper.update(accumulative_counts=4)
optim_wrapper.optimizer.update(lr=2e-4)
train_cfg.update(max_epochs=max_epochs)
param_scheduler[0].update(end=warmup_ratio * max_epochs)
param_scheduler[1].update(eta_min=1e-6, begin=warmup_ratio * max_epochs, end=max_epochs)
