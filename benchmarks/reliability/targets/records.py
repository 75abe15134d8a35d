"""Samples of every format of records."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

from benchmarks.reliability.targets.target import Read, Target, content, lines


def records(folder: Path) -> list[Target]:
    """Return the targets of records, lists of ids and of requests."""
    from pathplugins.data.formats import READERS

    def reads(name: str) -> Read:
        def read(path: Path) -> None:
            pictures = {"media_dir": path.parent, "extract_images": True} if path.suffix == ".parquet" else {}
            READERS.get(name).stream(path, **pictures).lists()

        return read

    talk = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A gland."}]
    llava = [{"id": f"s{i}", "image": f"{i}.png", "conversations": talk} for i in range(4)]
    asked = [{"question_id": i, "image": "p/s.pt", "question": "Why?", "T-answer": "So."} for i in range(3)]
    chat = [{"messages": [{"role": "user", "content": "<image>a"}, {"role": "assistant", "content": "b"}]}]
    plain = "h5_path,caption,question,answer,slide_id,dataset,choices\r\n"
    slides = plain + "".join(f"a{i}.h5,\"A, b.\",What?,Yes,s{i},d,\"['Yes', 'No']\"\r\n" for i in range(4))
    choices = "ID,Slide,Tumor,Broad Category,Narrow Category,Question,A,B,C,D,Answer\n"
    bench = choices + "".join(f"{i},S-{i},BRCA,x,y,What?,one,two,three,four,B\n" for i in range(4))
    quiz = "Figure_path,Question,Choice A,Choice B,Choice C,Choice D,Answer_label\na.jpg,Which?,A:x,B:y,C:z,D:w,C\n"
    table = {name: [f"{name}{i}" for i in range(4)] for name in ("question", "answer")}
    seeds: dict[str, dict[str, bytes]] = {
        "llava": {"a.json": json.dumps(llava).encode(), "a.jsonl": lines(*llava)},
        "pathgen": {"a.jsonl": lines(*({"image": f"{i}.png", "caption": "A.", "wsi_id": "w"} for i in range(4)))},
        "slidechat": {"a.json": json.dumps([{**one, "image": ["s.csv"]} for one in llava]).encode()},
        "wsi_bench": {"a.jsonl": lines(*asked)},
        "sharegpt": {"a.json": json.dumps(chat).encode()},
        "wsi_csv": {"a.csv": slides.encode(), "a.tsv": slides.replace(",", "\t").encode()},
        "slidebench": {"a.csv": bench.encode()},
        "pmc_vqa": {"a.csv": quiz.encode()},
        "quilt_1m": {"a.csv": b"caption,image_path,subset,split\nA gland.,a.jpg,quilt,train\nB,b.jpg,openpath,val\n"},
        "path_vqa": {
            "train.parquet": content(folder, "train.parquet", lambda path: _parquet(path, table)),
            "train_qa.pkl": pickle.dumps([{"image": "a", "question": "b?", "answer": "c", "answer_type": "other"}]),
        },
    }
    made = []
    for name, files in seeds.items():
        binary = {file: held for file, held in files.items() if file.endswith((".parquet", ".pkl"))}
        text = {file: held for file, held in files.items() if file not in binary}
        made += [Target(name=f"{name}, text", read=reads(name), seeds=text, text=True)] if text else []
        for file, held in binary.items():
            made.append(Target(name=f"{name}, {Path(file).suffix}", read=reads(name), seeds={file: held}))
    return made


def _parquet(path: Path, columns: dict[str, list[str]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    image = pa.array([{"bytes": _picture(), "path": "a.png"}] * 4)
    parquet.write_table(pa.table({"image": image, **columns}), path)


def _picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (9, 7), (200, 120, 170)).save(file, "PNG")
    return file.getvalue()
