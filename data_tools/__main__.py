"""``python -m pathplugins.data_tools`` is ``pathdata``."""

import sys

from .cli import main

sys.exit(main())
