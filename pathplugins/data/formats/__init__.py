"""Record formats: one module per format, each of which reads records; what they share is in ``reading``."""

from pathplugins.core.registry import Registry

_HERE = "pathplugins.data.formats"
_FOR_TRAINERS = {
    "class_folders": f"{_HERE}.class_folders:read_class_folders",
    "drawn": f"{_HERE}.drawn:read_drawn",
    "histai_instruct": f"{_HERE}.histai_instruct:read_histai_instruct",
    "llava": f"{_HERE}.llava:read_llava",
    "open_path": f"{_HERE}.open_path:read_open_path",
    "pallava_captions": f"{_HERE}.pallava_captions:read_pallava_captions",
    "patchcamelyon": f"{_HERE}.patchcamelyon:read_patchcamelyon",
    "path_cap": f"{_HERE}.path_cap:read_path_cap",
    "path_vqa": f"{_HERE}.path_vqa:read_path_vqa",
    "pathgen": f"{_HERE}.pathgen:read_pathgen",
    "pcam200": f"{_HERE}.pcam200:read_pcam200",
    "pmc_oa": f"{_HERE}.pmc_oa:read_pmc_oa",
    "pmc_vqa": f"{_HERE}.pmc_vqa:read_pmc_vqa",
    "ptcga200": f"{_HERE}.ptcga200:read_ptcga200",
    "pubmedvision": f"{_HERE}.pubmedvision:read_pubmedvision",
    "quilt_1m": f"{_HERE}.quilt_1m:read_quilt_1m",
    "quilt_vqa": f"{_HERE}.quilt_vqa:read_quilt_vqa",
    "record": f"{_HERE}.record:read_record",
    "segpanda200": f"{_HERE}.segpanda200:read_segpanda200",
    "slidebench": f"{_HERE}.slidebench:read_slidebench",
    "slidechat": f"{_HERE}.slidechat:read_slidechat",
    "wsi_bench": f"{_HERE}.wsi_bench:read_wsi_bench",
    "wsi_csv": f"{_HERE}.wsi_csv:read_wsi_csv",
}

_GROUP = "pathplugins.formats"

FORMATS = Registry("record format", _FOR_TRAINERS, group=_GROUP)
"""Reader of each format: ``reader(path, *, media_dir=None, **options) -> (records, bad samples)``.

``media_dir`` is where relative references are looked up first; then beside the file. ``wsi_csv`` checks that its bags
exist; the others leave that to ``check_images``. ``reader.stream`` takes the same arguments and returns a ``Stream``,
which holds a few records at a time. Other packages add theirs as entry points of the group ``pathplugins.formats``.
"""

READERS = Registry("record format", {**_FOR_TRAINERS, "sharegpt": f"{_HERE}.sharegpt:read_sharegpt"}, group=_GROUP)
"""``FORMATS`` and those the trainers read themselves: LLaMA-Factory knows ``sharegpt`` by that name."""

PREFERENCE_FORMATS = Registry("preference format", {"preferences": f"{_HERE}.preferences:read_preferences"})
"""Formats of answers that are compared or marked, for the stages of LLaMA-Factory that train on comparisons; of what a
record's meta says of its answer nothing else may lose sight, so that they are no `FORMATS`."""

MADE_UP = ("drawn",)
"""Formats that read no files: their path is a folder to draw into, which need not exist."""
