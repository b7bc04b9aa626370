"""Starts the zygote: `python -I -S start.py SOCKET`; or, with two descriptors, `code.afresh`."""

# pathlib would double the start time
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

PACKAGE = "flexiroaster_stage"


def module(name: str) -> Any:
    """A module of this folder, without putting the folder, or `flexiroaster`, on the path of the user's code."""
    if PACKAGE not in sys.modules:
        from importlib.util import module_from_spec, spec_from_file_location

        folder = os.path.dirname(os.path.abspath(__file__))
        spec = spec_from_file_location(
            PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[PACKAGE] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[PACKAGE])
    return importlib.import_module(f"{PACKAGE}.{name}")


if __name__ == "__main__":
    import site

    site.main()
    usual = frozenset(sys.modules)
    descriptors = [int(word) for word in sys.argv[1:]]
    if len(descriptors) == 1:
        module("zygote").serve(descriptors[0], usual)
    else:
        module("code").afresh(*descriptors)
