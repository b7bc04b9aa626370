"""Commands that are loaded when they are asked for: together they take more memory than a library of the server."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import typer
from typer.main import get_command_from_info, get_group_from_info
from typer.models import CommandInfo, TyperInfo


class Commands(MutableMapping[str, Any]):
    """`places` says for each name `module:attribute`, in this package: a function, or a `Typer` for a group."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._places[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _load(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(f"flexiroaster.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        group = TyperInfo(found, name=name)
        return get_group_from_info(group, pretty_exceptions_short=False, suggest_commands=True, rich_markup_mode=None)
    return get_command_from_info(
        CommandInfo(name, callback=found), pretty_exceptions_short=False, rich_markup_mode=None
    )
