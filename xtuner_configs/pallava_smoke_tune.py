# PA-LLaVA stage 2 in small: goes on from the stage 1 of pallava_smoke_align.py, as the real stage 2 does.
# Needs:  xtuner train pallava_smoke_align.py
# Costs:  half a minute on a laptop
# Next:   pathplugins export xtuner work_dirs/pallava_smoke_tune/iter_12.pth --config pallava_smoke_tune.py --out hf_model
# Run:    xtuner train pallava_smoke_tune.py

from mmengine.config import read_base

with read_base():
    from .pallava_smoke_align import *

model.update(
    pretrained_pth="work_dirs/pallava_smoke_align/iter_12.pth",
    lr_mult=dict(multi_modal_projector=0.5),
)
