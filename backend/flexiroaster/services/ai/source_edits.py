"""Changes of a definition in the text that its author wrote: comments, order and layout of all else stay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from flexiroaster.ai.optimizer.suggestion import Edit


def edited(text: str, edits: Sequence[Edit]) -> str | None:
    """None where the text is not written in a way that can be edited piece by piece.

    The caller checks that the result means what it should.
    """
    for edit in edits:
        changed = _edited(text, edit)
        if changed is None:
            return None
        text = changed
    return text


def _edited(text: str, edit: Edit) -> str | None:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    place = _stage(root, edit.stage)
    value: Any = edit.value
    path = list(edit.path)
    while place is not None and path:
        key = path.pop(0)
        found = _value_of(place, key)
        if found is None:
            for inner in reversed(path):
                value = {inner: value}
            return _with_key(text, place, key, value)
        if not path:
            return text[: found.start_mark.index] + _flow(value) + text[found.end_mark.index :]
        place = found if isinstance(found, yaml.MappingNode) else None
    return None


def _stage(root: yaml.Node | None, id: str) -> yaml.MappingNode | None:
    stages = _value_of(root, "stages") if isinstance(root, yaml.MappingNode) else None
    for stage in stages.value if isinstance(stages, yaml.SequenceNode) else []:
        own = _value_of(stage, "id") if isinstance(stage, yaml.MappingNode) else None
        if isinstance(own, yaml.ScalarNode) and own.value == id:
            found: yaml.MappingNode = stage
            return found
    return None


def _value_of(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    for name, value in mapping.value:
        if isinstance(name, yaml.ScalarNode) and name.value == key:
            node: yaml.Node = value
            return node
    return None


def _with_key(text: str, mapping: yaml.MappingNode, key: str, value: Any) -> str | None:
    """Behind the first key of the mapping, where an author looks first."""
    if not mapping.value:
        return None
    first, first_value = mapping.value[0]
    end = first_value.end_mark.index
    if mapping.flow_style:
        return f"{text[:end]}, {key}: {_flow(value)}{text[end:]}"
    if first_value.start_mark.line != first.start_mark.line or not isinstance(first_value, yaml.ScalarNode):
        return None
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    return f"{text[:line_end]}\n{' ' * first.start_mark.column}{key}: {_flow(value)}{text[line_end:]}"


def _flow(value: Any) -> str:
    """In one line, as it may stand anywhere."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(item) for item in value) + "]"
        case str() if value.replace("_", "").replace("-", "").replace(".", "").isalnum() and not _is_special(value):
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


def _is_special(text: str) -> bool:
    """Whether YAML would read it as anything but a text."""
    return not isinstance(yaml.safe_load(text), str)
