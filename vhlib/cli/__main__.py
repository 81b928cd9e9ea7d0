"""``python -m vhlib.cli`` is ``vh``."""

import sys

from vhlib.cli import main

if __name__ == "__main__":
    sys.exit(main())
