"""`python -m ganfingerprint` is the command too: what `torchrun -m` starts has to be a module."""

from __future__ import annotations

import sys

from ganfingerprint.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
