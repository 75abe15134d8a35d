#!/usr/bin/env bash
# h5py 3.16.0 (HDF5 2.0.0): naming a compression without `chunks=` makes one patch cost thousands.
#
# A filter needs chunks, so h5py picks them itself. Its guess halves every axis in turn and does not know that a
# picture is read whole: a gzip stack of 262,144 patches of 96 x 96 x 3 gets chunks of (8192, 6, 6, 1). One patch then
# lies in 768 chunks that inflate to 226 MB, 8192 times its own 27,648 bytes, and no cache of HDF5 holds them, so the
# next patch in order pays again. A bag of 50,000 x 1024 float32 gets (782, 32): 782 times per row. The guess follows
# the length of the stack, so a small trial file looks harmless and the real one is slow.
#
# Seen: 3,000 patches, chunks (375, 12, 12, 1): 90 ms per patch at random and in order; with chunks (1, 96, 96, 3)
# 0.15 ms, 600 times less, and the file is 5 % larger.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet h5py==3.16.0 numpy==2.3.5

"$work/venv/bin/python" - "$work" <<'PY'
import math
import sys
import time

import h5py
import numpy as np


def cost(data):
    """Return (chunks that hold one row, how often one row's bytes are inflated to read it)."""
    chunks = math.prod(math.ceil(size / chunk) for size, chunk in zip(data.shape[1:], data.chunks[1:]))
    return chunks, chunks * math.prod(data.chunks) / math.prod(data.shape[1:])


def milliseconds(data, rows):
    """Return the time per row of reading these rows one by one."""
    start = time.perf_counter()
    for row in rows:
        data[int(row)]
    return (time.perf_counter() - start) / len(rows) * 1e3


print(f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}")
good = True
wanted = {
    "patches": ((262_144, 96, 96, 3), "u1", (8192, 6, 6, 1), 768, 8192),
    "bag": ((50_000, 1024), "f4", (782, 32), 32, 782),
}
with h5py.File(f"{sys.argv[1]}/planned.h5", "w") as file:  # nothing is written: the chunks are fixed on creation
    for name, (shape, dtype, *expected) in wanted.items():
        data = file.create_dataset(name, shape, dtype, compression="gzip")
        found = [data.chunks, *cost(data)]
        print(f"{name} {shape}: chunks {found[0]}, {found[1]} of them per row, {found[2]:.0f} times the row's bytes")
        good &= found == expected

random = np.random.default_rng(0)
coarse = random.integers(120, 250, (3000, 12, 12, 3)).repeat(8, 1).repeat(8, 2)
pictures = (coarse + random.integers(-6, 6, coarse.shape)).astype("u1")  # compresses about as tissue does
with h5py.File(f"{sys.argv[1]}/stack.h5", "w") as file:
    file.create_dataset("guessed", data=pictures, compression="gzip", compression_opts=1)
    file.create_dataset("chosen", data=pictures, compression="gzip", compression_opts=1, chunks=(1, 96, 96, 3))
times = {}
with h5py.File(f"{sys.argv[1]}/stack.h5") as file:
    for name, data in file.items():
        times[name] = [milliseconds(data, random.integers(0, 3000, 12)), milliseconds(data, range(1000, 1012))]
        share = data.id.get_storage_size() / pictures.nbytes
        print(f"{name}: chunks {data.chunks}, {cost(data)[1]:.0f} times the bytes; file {share:.0%} of the pixels;")
        print(f"  {times[name][0]:.2f} ms per random patch, {times[name][1]:.2f} ms per patch in order")
good &= min(a / b for a, b in zip(times["guessed"], times["chosen"])) > 20
print("as recorded" if good else "CHANGED: h5py no longer behaves as this script's head says")
sys.exit(not good)
PY
