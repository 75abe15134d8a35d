"""Output formats: one module per format, each of which turns records into rows of a file."""

from pathplugins.core.registry import Registry

WRITERS = Registry(
    "output format",
    {
        "llava": f"{__name__}.llava:LLAVA",
        "record": f"{__name__}.record:RECORD",
        "sharegpt": f"{__name__}.sharegpt:SHAREGPT",
        "slidechat": f"{__name__}.slidechat:SLIDECHAT",
        "wsi_bench": f"{__name__}.wsi_bench:WSI_BENCH",
        "wsi_csv": f"{__name__}.wsi_csv:WSI_CSV",
        "xtuner": f"{__name__}.llava:XTUNER",
    },
)
"""Name for ``--to`` -> ``Target``."""
