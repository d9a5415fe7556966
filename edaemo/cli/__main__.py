"""Run ``python -m edaemo.cli``."""

import sys

from edaemo.cli import main

if __name__ == "__main__":
    sys.exit(main())
