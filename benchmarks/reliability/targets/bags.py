"""Feature bags of every convention, compression and container."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import h5py
import numpy as np

from benchmarks.reliability.targets.target import Target, content, saved


def bags(folder: Path) -> list[Target]:
    """Return the targets of bags, patch files and features of other tools."""
    import hdf5plugin

    from pathplugins.data.bags import BagAttributes, read_bag, write_bag
    from pathplugins.data_tools.bags.findings import reports_of
    from pathplugins.data_tools.tiling.coord_files import PatchSet, read_coords, write_coords

    rng = np.random.default_rng(0)
    features, yx = rng.normal(size=(12, 24)).astype(np.float32), np.stack([np.arange(12), np.arange(12)], 1) * 256
    sizes = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    about = BagAttributes(slide_id="s", encoder="uni", level0_width=8192, level0_height=8192, **sizes)

    def trident(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("features", data=features, chunks=(1, 24), maxshape=(None, 24))
            coords = file.create_dataset("coords", data=yx[:, ::-1] * 2, chunks=(1, 2), maxshape=(None, 2))
            for name, value in {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40}.items():
                coords.attrs[name] = value
            file["features"].attrs["encoder"] = "uni_v1"

    def clam(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["features"], file["coords"] = features, yx

    def inspect(path: Path) -> None:
        for _ in reports_of(path):
            pass

    def train(path: Path) -> None:
        read_bag(path)

    h5 = {
        "ours.h5": content(folder, "ours.h5", lambda p: write_bag(p, [features], yx, about)),
        "trident.h5": content(folder, "trident.h5", trident),
        "clam.h5": content(folder, "clam.h5", clam),
    }
    gzip = {"compression": "gzip", "shuffle": True}
    filters = {"gzip": gzip, "zstd": hdf5plugin.Zstd(), "blosc2": hdf5plugin.Blosc2()}

    def packed(path: Path, how: str) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("features", data=features, chunks=(4, 24), **filters[how])
            file["coords"] = yx

    def three_axes(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["features"], file["coords"] = features[None], yx[None]

    patches = PatchSet(
        **{"coords_xy": yx[:, ::-1], "name": "s", "slide": "s.svs", "overlap": 0, **sizes},
        **{"level0_magnification": 40.0, "target_magnification": 20.0, "level0_width": 8192, "level0_height": 8192},
        **{"fingerprint": "0", "settings": "{}", "bounds": (0, 0, 99, 99), "mpp_source": "openslide.mpp-x"},
    )
    compressed = {f"{how}.h5": content(folder, f"{how}.h5", partial(packed, how=how)) for how in filters}
    other = {
        name: content(folder, name, partial(_other, features=features, yx=yx))
        for name in ("stamp.h5", "mil.h5", "bare.h5", "patches.h5")
    }
    table = "\n".join([",".join(map(str, range(6))), *(",".join(f"{v:g}" for v in row[:6]) for row in features[:3])])
    pt = {"rows.pt": saved({"features": features}), "bag.pt": saved(features), "one.pt": saved(features[None])}
    one = {"one.h5": content(folder, "one.h5", three_axes)}
    positions = {"a.h5": content(folder, "a.h5", lambda p: write_coords(p, patches))}
    return [
        Target(name="compressed bag, read for training", read=train, seeds=compressed),
        Target(name="compressed bag, inspected", read=inspect, seeds=compressed),
        Target(name="(1, N, D) bag, read for training", read=train, seeds=one),
        Target(name="other tools' H5, inspected", read=inspect, seeds=other),
        Target(name="patch file", read=read_coords, seeds=positions),
        Target(name="CSV features, inspected", read=inspect, seeds={"s.csv": table.encode()}, text=True),
        Target(name="bag, inspected", read=inspect, seeds=h5),
        Target(name="bag, read for training", read=train, seeds=h5),
        Target(name=".pt bag, inspected", read=inspect, seeds=pt),
    ]


def _other(path: Path, *, features: np.ndarray, yx: np.ndarray) -> None:
    """Write what another tool writes, by the name of the file."""
    with h5py.File(path, "w") as file:
        if path.name == "stamp.h5":
            file["feats"], file["coords"] = features, yx * 0.5
            file.attrs["unit"], file.attrs["extractor"], file.attrs["tile_size_um"] = "um", "uni", 128.0
        elif path.name == "mil.h5":
            for slide in ("s1", "s2"):
                file[f"{slide}/feat"], file[f"{slide}/coords"] = features, yx
        elif path.name == "bare.h5":
            file["features"] = features
        else:
            file["coords"] = yx
            file["coords"].attrs["patch_size"], file["coords"].attrs["patch_level"] = 256, 0
