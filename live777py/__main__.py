"""python -m live777py"""

import sys

from live777py.cli import main

sys.exit(main())
