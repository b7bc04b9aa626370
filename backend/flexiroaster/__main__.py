"""`python -m flexiroaster` is the command `flexiroaster`."""

from __future__ import annotations

from flexiroaster.cli.main import main

if __name__ == "__main__":
    main()
