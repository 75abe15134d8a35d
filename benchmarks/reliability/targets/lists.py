"""Lists and descriptions that commands take beside their data: requests, ids, prompts, data sets, models of tissue."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.reliability.targets.target import Target

CARD = {"mpp": 10, "size": 512, "classes": ["tissue", "pen", "glass"], "tissue": ["tissue"], "artefacts": ["pen"]}
TAGGED = {"columns": {"images": "image"}, "tags": {"role_tag": "from"}}
DATASETS = {
    "one": {"file_name": "a.jsonl", "formatting": "llava", **TAGGED},
    "two": {"file_name": "b.csv", "formatting": "wsi_csv", "split": "train"},
}
REQUESTS = {"r.json": b'["Describe it.", "What is seen?"]', "r.txt": b"Describe it.\n\nWhat?\n"}
IDS = {"i.json": b'["a", {"id": "b"}, 3]', "i.csv": b"id,x\na,1\nb,2\n", "i.txt": b"a\nb\n"}
PROMPTS = {"p.json": b'{"tumour": ["a tumour", "cancer"], "stroma": "stroma"}'}
REPORTS = {"r.json": b'{"s1": {"refined": {"diagnosis": "A."}}, "s2": ["B.", "C."], "s3": {"gross": "D."}}'}


def lists() -> list[Target]:
    """Return the targets of lists and descriptions."""
    from pathplugins.core.files import read_json
    from pathplugins.data.formats.reading.ids import read_ids
    from pathplugins.data.formats.reading.requests import read_requests
    from pathplugins.data_tools.clip.zero_shot import read_labels
    from pathplugins.data_tools.pathgen.select.prompts import read_reports
    from pathplugins.data_tools.tissue.own_model import read_own_model
    from pathplugins.llamafactory.dataset_entries import check_entry, entry_of

    def tissue_model(path: Path) -> None:
        path.with_suffix(".onnx").write_bytes(b"weights")
        read_own_model(path.with_suffix(".onnx"))

    def datasets(path: Path) -> None:
        known = read_json(path)
        for name in known:
            entry = entry_of(known, name, path)
            if entry.get("formatting") in ("llava", "wsi_csv"):
                check_entry(name, entry, path)

    def prompts(path: Path) -> None:
        read_labels(str(path), ["{}."])

    card, info = {"m.json": json.dumps(CARD).encode()}, {"dataset_info.json": json.dumps(DATASETS).encode()}
    return [
        Target(name="tissue model, its description", read=tissue_model, seeds=card, text=True),
        Target(name="dataset_info.json", read=datasets, seeds=info, text=True),
        Target(name="requests", read=read_requests, seeds=REQUESTS, text=True),
        Target(name="list of ids", read=read_ids, seeds=IDS, text=True),
        Target(name="prompts by class", read=prompts, seeds=PROMPTS, text=True),
        Target(name="reports of slides", read=read_reports, seeds=REPORTS, text=True),
    ]
