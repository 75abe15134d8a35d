#!/usr/bin/env bash
# lightly 1.6.0 on timm 1.0.31: `update_drop_path_rate(vit, 0.3)` says "linear" and gives every block but one the top rate.
#
# The default mode, "linear", stands for stochastic depth that rises from 0 in the first block to the given rate in the
# last, which is also what timm's own `drop_path_rate=` builds. lightly computes that ramp, uses it only to tell a zero
# from the rest, and then installs the top rate. So "linear" is "uniform" with the first block spared, early blocks
# above all are dropped much more often than asked, and nothing in the model's output or its weights shows it.
#
# Seen, ViT of 12 blocks at 0.3, in 4096 pictures: a picture loses 6.6 of its 24 residual branches instead of the 3.6
# of timm's ramp (uniform: 7.2); the second block is dropped in 30 % of cases instead of 2.7 %.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.11.0 torchvision==0.26.0 timm==1.0.31 lightly==1.6.0 numpy==2.3.5

"$work/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version

import timm
import torch
from lightly.models.utils import update_drop_path_rate


def small_vit(**arguments):
    """Build a ViT of twelve narrow blocks for pictures of 32 px."""
    sizes = {"img_size": 32, "embed_dim": 12, "num_heads": 2, "depth": 12}
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, **sizes, **arguments)


def dropped(vit):
    """Return the share of pictures that lose each block's branches, from 4096 pictures in training mode."""
    shares = [[] for _ in vit.blocks]
    for block, share in zip(vit.blocks, shares, strict=True):
        for drop in (block.drop_path1, block.drop_path2):
            drop.register_forward_hook(
                lambda _, __, out, share=share: share.append((out.flatten(1).abs().amax(1) == 0).float().mean().item())
            )
    torch.manual_seed(0)
    with torch.no_grad():
        vit.train()(torch.randn(4096, 3, 32, 32))
    return [sum(share) / len(share) for share in shares]


print(", ".join(f"{name} {version(name)}" for name in ("lightly", "timm", "torch")))
measured = {"timm's own": dropped(small_vit(drop_path_rate=0.3))}
for mode in ("linear", "uniform"):
    vit = small_vit()
    update_drop_path_rate(vit, 0.3, mode=mode)
    measured[f"lightly's {mode}"] = dropped(vit)
for name, shares in measured.items():
    print(f"{name}: {2 * sum(shares):.1f} of 24 branches lost per picture; by block", *(f"{share:.2f}" for share in shares))

ramp, linear, uniform = measured.values()
good = all(abs(share - 0.3 * index / 11) < 0.03 for index, share in enumerate(ramp))
good &= linear[0] == 0 and all(abs(share - 0.3) < 0.03 for share in linear[1:])
good &= all(abs(share - 0.3) < 0.03 for share in uniform)
print("as recorded" if good else "CHANGED: lightly no longer behaves as this script's head says")
sys.exit(not good)
PY
