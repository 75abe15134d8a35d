"""Tables and settings: recipes, splits, manifests, labels."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

from benchmarks.reliability.targets.target import Target, lines


def tables() -> list[Target]:
    """Return the targets of tables and settings."""
    from pathplugins.classify.settings import read_settings
    from pathplugins.data.splits.file import read_split
    from pathplugins.data_tools.captioning.rows import read_rows
    from pathplugins.data_tools.pathgen.sources.gdc import read_manifest
    from pathplugins.data_tools.slides.mpp_table import read_mpp_table
    from pathplugins.data_tools.tables.labels import read_labels
    from pathplugins.data_tools.tiling.process_list import read_process_list
    from pathplugins.data_tools.tiling.spec import TilingSpec

    configs = Path(__file__).resolve().parents[3] / "pathplugins" / "classify" / "configs"
    recipes = {path.name: path.read_bytes() for path in configs.glob("*.yaml")}
    folds = [{"train": ["a.png", "b.png"], "valid": ["c.png"], "test": []}]
    split = {"format": "pathplugins split 1", "by": "slide", "seed": 0, "source": "x", "folds": folds}
    uuid = "0b0c0d0e-0000-4000-8000-000000000000"
    manifest = f"id\tfilename\tmd5\tsize\tstate\n{uuid}\ta.svs\t{'0' * 32}\t17\tlive\n"
    published = {
        fold: {part: {"imgs": [f"{part}.png"], "idx": [0]} for part in ("train", "val", "test")} for fold in (0, 1)
    }
    rows = [{"image": f"{i}.png", "wsi_id": "w", "x": 1, "y": 2} for i in range(3)]

    def recipe(path: Path) -> None:
        read_settings(path)

    def manifest_rows(path: Path) -> None:
        for _ in read_rows(path):
            pass

    return [
        Target(name="recipe YAML", read=recipe, seeds=recipes, text=True),
        Target(name="split JSON", read=read_split, seeds={"a.json": json.dumps(split).encode()}, text=True),
        Target(name="split pickle", read=read_split, seeds={"folds.pickle": pickle.dumps(published)}),
        Target(name="GDC manifest", read=read_manifest, seeds={"m.txt": manifest.encode()}, text=True),
        Target(name="mpp table", read=read_mpp_table, seeds={"m.csv": b"slide_id,mpp\na,0.25\nb.svs,0.5\n"}, text=True),
        Target(name="labels", read=read_labels, seeds={"l.csv": b"slide_id,label\na,LUAD\nb,LUSC\n"}, text=True),
        Target(name="captioning manifest", read=manifest_rows, seeds={"manifest.jsonl": lines(*rows)}, text=True),
        Target(
            name="process list",
            read=lambda path: read_process_list(path, TilingSpec()),
            seeds={"p.csv": b"slide_id,slide,process,min_tissue\na,a.svs,1,0.5\nb,b.svs,0,\n"},
            text=True,
        ),
    ]
