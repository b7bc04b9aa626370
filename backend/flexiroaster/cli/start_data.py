"""`--data FILE|-|JSON`: what an execution is started with, `execution.data` in its expressions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import typer

from flexiroaster.engine.quoting import quoted

STANDARD_INPUT = "-"
HINT = "'--data'"


def start_data(given: str | None) -> Any:
    """None where nothing is given. A text that is neither JSON nor a file is refused."""
    if given is None:
        return None
    if given == STANDARD_INPUT:
        return _parsed(sys.stdin.buffer.read(), "standard input")
    if given.lstrip()[:1] not in ("{", "[", '"') and _is_there(given):
        return _parsed(_bytes(Path(given)), given)
    try:
        return orjson.loads(given)
    except orjson.JSONDecodeError as error:
        if given.lstrip()[:1] in ("{", "["):
            raise typer.BadParameter(f"{quoted(given)} is no JSON: {error}.", param_hint=HINT) from None
        raise typer.BadParameter(f"{quoted(given)} is neither a file nor JSON.", param_hint=HINT) from None


def _is_there(given: str) -> bool:
    try:
        return bool(given) and Path(given).exists()
    except OSError:  # too long for a name
        return False


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}.", param_hint=HINT) from None


def _parsed(content: bytes, where: str) -> Any:
    try:
        return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"{where} holds no JSON: {error}.", param_hint=HINT) from None
