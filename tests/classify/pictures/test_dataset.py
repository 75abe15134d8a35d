"""Samples of labelled pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_patches import draw_patches
from patch_folders import write_patchcamelyon, write_segpanda200
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import functional

from pathplugins.classify.pictures import SEGMENT, SELF_SUPERVISED, SUPERVISED, Augment, BatchAugment, PatchDataset
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets import read_patch_set


def test_the_middle_is_what_torchvision_takes(tmp_path: Path) -> None:
    patches = draw_patches(tmp_path, 1, (121, 94))
    sample = PatchDataset(patches, size=36, centre_px=57)[0]
    wanted = functional.resize(functional.center_crop(patches.read(0), [57, 57]), [36, 36])
    off = sample["pixels"].int() - torch.from_numpy(np.array(wanted)).permute(2, 0, 1).int()
    assert off.abs().max() <= 1, "but for rounding"
    assert sample["draws"].tolist() == [0, 0, 1, 1, 1, 0, sample["draws"][6], 0, 0]
    assert PatchDataset(patches, size=36)[0]["pixels"].shape == (3, 36, 36)


def test_samples_repeat_for_any_number_of_workers(tmp_path: Path) -> None:
    patches = draw_patches(tmp_path, 4)
    runs = []
    for workers in (0, 2):
        dataset = PatchDataset(patches, size=32, augment=SELF_SUPERVISED, seed=3, views=2)
        loader = DataLoader(dataset, batch_size=3, num_workers=workers, persistent_workers=workers > 0)
        epochs = []
        for epoch in (0, 1):
            dataset.set_epoch(epoch)
            epochs.append(
                [torch.cat(parts) for parts in zip(*((b["pixels"], b["draws"]) for b in loader), strict=True)]
            )
        runs.append(epochs)
    for one, two in zip(runs[0], runs[1], strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])
    pixels, draws = runs[0][0]
    assert pixels.shape == (4, 2, 3, 32, 32)
    assert draws.shape == (4, 2, 9)
    assert not torch.equal(pixels, runs[0][1][0]), "epochs differ"
    assert not torch.equal(pixels[:, 0], pixels[:, 1]), "views differ"
    assert not torch.equal(PatchDataset(patches, size=32, augment=SUPERVISED, seed=4)[0]["draws"], draws[0, 0])


@pytest.mark.parametrize("augment", [SUPERVISED, SEGMENT])
def test_a_mask_stays_on_its_picture(tmp_path: Path, augment: Augment) -> None:
    """The red of the pictures says the class too; only at the borders of classes may scaling mix it."""
    patches = draw_patches(tmp_path, 6, (130, 110), masks=True)
    dataset = PatchDataset(patches, size=48, augment=replace(augment, jitter=0.0, blur=0.0), seed=1)
    batch = next(iter(DataLoader(dataset, batch_size=6)))
    colours = BatchAugment(mean=[0] * 3, std=[1] * 3)
    pixels, masks = colours(batch["pixels"], batch["draws"]), colours.masks(batch["labels"], batch["draws"])
    assert masks.dtype == torch.uint8
    assert set(masks.unique().tolist()) <= set(range(6))
    off = (pixels[:, 0] * 255 / 50 - masks).abs()
    assert (off < 0.1).float().mean() > 0.8
    assert off.max() <= 1
    assert 0 < batch["draws"][:, 0].sum() < 6, "some are flipped"


def test_a_small_picture_is_named(tmp_path: Path) -> None:
    patches = draw_patches(tmp_path, 2, (96, 80))
    with pytest.raises(PathPluginsError, match=r"slide\.0_0\.png: 96 x 80 px, but 90 px are cut .* lower centre_px"):
        PatchDataset(patches, size=32, centre_px=90)[0]
    with pytest.raises(PathPluginsError, match=r"96 x 96 px, but 287 px"):
        PatchDataset(replace(patches, patch_px=96), size=224, centre_px=287)
    with pytest.raises(PathPluginsError, match="lower size"):
        PatchDataset(patches, size=84, augment=SEGMENT)[0]


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    patches = draw_patches(tmp_path, 1, suffix=".jpg")
    path = patches.file(0)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(PathPluginsError, match=rf"{path.name} cannot be read \(3 tries\)"):
        PatchDataset(patches, size=32, augment=SUPERVISED)[0]


def test_masks_of_another_size_and_of_several_views_are_refused(tmp_path: Path) -> None:
    patches = draw_patches(tmp_path, 1, masks=True)
    with pytest.raises(PathPluginsError, match="one view"):
        PatchDataset(patches, size=32, augment=SUPERVISED, views=2)
    Image.new("RGB", (95, 80)).save(patches.mask_file(0))
    with pytest.raises(PathPluginsError, match=r"slide\.0_0_mask\.png: 95 x 80 px, but its picture has 96 x 80"):
        PatchDataset(patches, size=32)[0]


def test_published_layouts_go_through(tmp_path: Path) -> None:
    """Pictures in an H5 file, read in workers, and masks in folders."""
    inside = read_patch_set(write_patchcamelyon(tmp_path / "h5")).part("train")
    pixels = [batch["pixels"] for batch in DataLoader(PatchDataset(inside, size=96), batch_size=2, num_workers=2)]
    wanted = torch.stack([torch.from_numpy(np.array(inside.read(i))).permute(2, 0, 1) for i in range(len(inside))])
    assert torch.equal(torch.cat(pixels), wanted)
    masked = read_patch_set(write_segpanda200(tmp_path / "masks", size=(41, 37))).part("train")
    sample = PatchDataset(masked, size=32, augment=SEGMENT)[1]
    assert (sample["pixels"].shape, sample["labels"].shape) == ((3, 32, 32), (32, 32))
    whole = PatchDataset(masked, size=37)[1]["labels"]
    assert torch.equal(whole, torch.from_numpy(masked.read_mask(1)[:, 2:39].copy()))
