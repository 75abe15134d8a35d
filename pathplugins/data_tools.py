"""Stands in for ``pathplugins/data_tools/`` in a checkout, where the folder lies at the top; never installed."""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parent.parent / "data_tools")]

if __name__ == "__main__":
    import sys

    from pathplugins.data_tools.cli import main

    sys.exit(main())
