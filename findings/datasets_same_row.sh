#!/usr/bin/env bash
# datasets 5.0.1: `map` with `remove_columns` drops what the function returns, if it returns the row that it was given.
#
# The documentation of `remove_columns` says that columns are removed before the examples are updated with what the
# function returns, so that columns of these names are kept if the function gives them. That holds for a dict of one's
# own. A function that changes the row in place and returns it gets all named columns removed, those that it wrote to
# as well: of a row, `map` takes as given only the columns that were not there before. With
# `remove_columns=data.column_names`, the usual way to say "only what my function returns", nothing is left: no
# columns, no rows, no error, and what follows trains or evaluates on a set of length 0.
#
# Seen: 2 rows; `{**row}` keeps 2 rows and all columns, the row itself 0 rows and none, also where the text was
# changed, and also batched. With `remove_columns=["text"]` the changed text is gone from the row and kept in the copy.
# The same with datasets 4.0.0. Return a new dict.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datasets==5.0.1

cat > "$work/map.py" <<'PY'
import sys
from importlib.metadata import version

from datasets import Dataset

print(f"datasets {version('datasets')}")
data = Dataset.from_dict({"picture": ["a.png", "b.png"], "text": ["gland", "stroma"]})


def same(row):
    return row


def changed(row):
    texts = row["text"]
    row["text"] = texts.upper() if isinstance(texts, str) else [text.upper() for text in texts]
    return row


def copied(row):
    return {**changed(row)}


everything = data.column_names
calls = {
    "the row itself": (same, {"remove_columns": everything}, []),
    "the row itself, changed": (changed, {"remove_columns": everything}, []),
    "the batch itself, changed": (changed, {"remove_columns": everything, "batched": True}, []),
    "the row itself, changed, only `text` named": (changed, {"remove_columns": ["text"]}, ["picture"]),
    "a copy": (copied, {"remove_columns": everything}, ["picture", "text"]),
    "a copy, only `text` named": (copied, {"remove_columns": ["text"]}, ["picture", "text"]),
    "the row itself, changed, no column named": (changed, {}, ["picture", "text"]),
}
good = True
for what, (function, options, expected) in calls.items():
    result = data.map(function, load_from_cache_file=False, **options)
    print(f"returning {what}: {len(result)} rows, columns {result.column_names}")
    good &= sorted(result.column_names) == expected and len(result) == (2 if expected else 0)
    good &= "text" not in expected or result["text"][:] == ["GLAND", "STROMA"]
print("as recorded" if good else "CHANGED: map no longer treats a returned row as this script's head says")
sys.exit(not good)
PY

HF_HOME="$work/home" HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$work/venv/bin/python" "$work/map.py"
