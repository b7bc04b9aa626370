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
    place = _entry(_value_of(root, "stages"), edit.stage) if edit.stage else root
    value: Any = edit.value
    path = list(edit.path)
    while place is not None and path:
        key = path.pop(0)
        found = _value_of(place, key) if isinstance(place, yaml.MappingNode) else _entry(place, key)
        if found is None and key == "config" and path and _value_of(place, path[0]) is not None:
            continue  # the stage's settings stand beside its own keys
        if not path and edit.remove:
            return text if found is None else _without(text, place, key)
        if found is None:
            for inner in reversed(path):
                value = {inner: value}
            return _with_key(text, place, key, value) if isinstance(place, yaml.MappingNode) else None
        if not path:
            return text[: found.start_mark.index] + _flow(value) + text[_end(text, found) :]
        place = found
    return None


def _end(text: str, node: yaml.Node) -> int:
    """A block ends, for the parser, where the next thing begins: what lies between stays."""
    start, end = node.start_mark.index, node.end_mark.index
    written = text[start:end]
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return end
    kept = written.splitlines(keepends=True)
    while kept and (not kept[-1].strip() or kept[-1].lstrip().startswith("#")):
        kept.pop()
    return start + len("".join(kept).rstrip("\n"))


def _without(text: str, place: yaml.Node, key: str) -> str | None:
    """Without one entry of a list or a mapping that is written in lines of its own."""
    if getattr(place, "flow_style", True):
        return None
    if isinstance(place, yaml.SequenceNode):
        first = last = _entry(place, key)
    else:
        first, last = next((pair for pair in place.value if pair[0].value == key), (None, None))
    if first is None or last is None or len(place.value) < 2:
        return None
    start = text.rfind("\n", 0, first.start_mark.index) + 1
    if text[start : first.start_mark.index].strip(" -"):  # something else stands in that line
        return None
    line_end = text.find("\n", _end(text, last))
    indent = " " * (len(text[start:]) - len(text[start:].lstrip(" ")))
    while (above := text.rfind("\n", 0, max(start - 1, 0)) + 1) < start and text[above:start].startswith(f"{indent}#"):
        start = above  # what is said of it just above goes with it
    return text[:start] + (text[line_end + 1 :] if line_end >= 0 else "")


def _entry(entries: yaml.Node | None, id: str) -> yaml.MappingNode | None:
    for entry in entries.value if isinstance(entries, yaml.SequenceNode) else []:
        own = _value_of(entry, "id")
        if isinstance(own, yaml.ScalarNode) and own.value == id:
            found: yaml.MappingNode = entry
            return found
    return None


def _value_of(mapping: yaml.Node | None, key: str) -> yaml.Node | None:
    for name, value in mapping.value if isinstance(mapping, yaml.MappingNode) else []:
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
