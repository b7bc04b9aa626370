"""YAML text → nodes with places.

Built on libyaml's events rather than its composer: bounds hold while reading, so that neither depth nor aliases
can exhaust anything, and duplicate keys are seen.
"""

from __future__ import annotations

from typing import Any

import yaml

from flexiroaster.engine.definition.core_schema import resolve
from flexiroaster.engine.definition.limits import (
    MAX_ALIAS_WEIGHT,
    MAX_DEPTH,
    MAX_VALUES,
    Refused,
    check_characters,
    check_number,
    too_deep,
    too_many_values,
)
from flexiroaster.engine.definition.nodes import ListNode, MapNode, Node, ScalarNode, Source
from flexiroaster.engine.definition.yaml_traps import comment_in_expression, explain, tag_refused

_STRING_TAGS = frozenset({"tag:yaml.org,2002:str", "!"})


def read_yaml(source: Source, duplicates: list[tuple[str, int, int]]) -> Node:
    """Raises `Refused`. Duplicate keys go to `duplicates`: the key, and where it stands first and again."""
    composer = _Composer(source, duplicates)
    try:
        for event in yaml.parse(source.text, Loader=yaml.CSafeLoader):
            composer.take(event)
    except yaml.YAMLError as error:
        raise explain(error, source) from error
    if composer.root is None:
        raise Refused("empty", "The definition is empty.", 0, "begin with `id:`, `name:` and `stages:`")
    return composer.root


class _Composer:
    """Builds the tree with a stack of its own: no recursion, whatever the text."""

    def __init__(self, source: Source, duplicates: list[tuple[str, int, int]]) -> None:
        self.source = source
        self.duplicates = duplicates
        self.root: Node | None = None
        self.documents = 0
        self.values = 0
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        """By name: the node, its weight and its height."""
        self.alias_weight = 0

    def take(self, event: Any) -> None:
        is_key = bool(self.open) and self.open[-1].awaits_key
        self.values += isinstance(event, yaml.NodeEvent) and not is_key
        if self.values > MAX_VALUES:
            raise too_many_values(self._index(event))
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise Refused(
                        "multiple_documents",
                        "A file holds one pipeline, but a second document begins here (`---`): use a file for each.",
                        self._index(event),
                    )

    @staticmethod
    def _index(event: Any) -> int:
        return int(event.start_mark.index)

    def _scalar(self, event: Any) -> None:
        start, end, text = event.start_mark.index, event.end_mark.index, event.value
        if event.tag is not None and event.tag not in _STRING_TAGS:
            raise tag_refused(event.tag, self.source, start)
        plain = event.tag is None and event.implicit[0]
        value = resolve(text) if plain else text
        is_key = bool(self.open) and self.open[-1].awaits_key
        if isinstance(value, str):
            check_characters(value, start)
            if plain and "${{" in value and "}}" not in value:
                comment_in_expression(self.source, start, end)
        elif not is_key and isinstance(value, int | float) and not isinstance(value, bool):
            check_number(value, text, start)
        node = ScalarNode(value, start, end, text)
        if plain and is_key and text == "<<":
            raise Refused(
                "merge_key",
                "`<<` merges mappings in YAML 1.1; YAML 1.2 has no merging: write the keys out, or use `defaults`.",
                start,
            )
        self._remember(event.anchor, node, len(text) + 4, 0)
        self._place(node, len(text) + 4, 0)

    def _start(self, event: Any) -> None:
        start = event.start_mark.index
        if event.tag is not None:
            raise tag_refused(event.tag, self.source, start)
        if self.open and self.open[-1].awaits_key:
            raise self._key_is_no_text(start)
        if len(self.open) >= MAX_DEPTH:
            raise too_deep(start)
        node: ListNode | MapNode = MapNode(start) if isinstance(event, yaml.MappingStartEvent) else ListNode(start)
        self.open.append(_Open(node, event.anchor))

    def _end(self, event: Any) -> None:
        closed = self.open.pop()
        closed.node.end = event.end_mark.index
        self._remember(closed.anchor, closed.node, closed.weight, closed.height + 1)
        self._place(closed.node, closed.weight, closed.height + 1)

    def _alias(self, event: Any) -> None:
        start = event.start_mark.index
        if any(part.anchor == event.anchor for part in self.open):
            raise Refused("alias", f"`*{event.anchor}` stands inside the value it repeats.", start)
        if event.anchor not in self.anchors:
            raise Refused(
                "alias",
                f"`*{event.anchor}` repeats an anchor that is not there.",
                start,
                f'quote it if it is text: "{self.source.text[start : event.end_mark.index]}"',
            )
        node, weight, height = self.anchors[event.anchor]
        self.alias_weight += weight
        if self.alias_weight > MAX_ALIAS_WEIGHT:
            raise Refused("alias", "The aliases (`*name`) repeat too much: write it once, or generate the file.", start)
        if len(self.open) + height > MAX_DEPTH:
            raise too_deep(start)
        self._place(node, weight, height)

    def _remember(self, anchor: str | None, node: Node, weight: int, height: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (node, weight, height)

    def _place(self, node: Node, weight: int, height: int) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.weight += weight
        parent.height = max(parent.height, height)
        if isinstance(parent.node, ListNode):
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = self._key(node)
        else:
            self._entry(parent.node, parent.key, node)
            parent.key = None

    def _key(self, node: Node) -> ScalarNode:
        if not isinstance(node, ScalarNode):
            raise self._key_is_no_text(node.start)
        if node.value is None and not node.text:
            raise Refused("empty_key", "A key is missing before the `:`.", node.start)
        return node

    def _entry(self, parent: MapNode, key: ScalarNode, value: Node) -> None:
        name = key.text
        check_characters(name, key.start)
        if name in parent.entries:
            self.duplicates.append((name, parent.entries[name][0], key.start))
        else:
            parent.entries[name] = (key.start, value)

    def _key_is_no_text(self, start: int) -> Refused:
        text = self.source.text
        if text.startswith("{", start) and text[:start].rstrip(" ").endswith("{"):
            return Refused(
                "yaml_braces",
                "`{{ … }}` is a mapping in YAML; expressions are written ${{ … }}.",
                text.rfind("{", 0, start),
                "put a $ before the braces: ${{ … }}",
            )
        return Refused("key_not_text", "A key must be text, not a list or a mapping.", start, "quote it")


class _Open:
    """A list or mapping that is being read."""

    __slots__ = ("anchor", "height", "key", "node", "weight")

    def __init__(self, node: ListNode | MapNode, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: ScalarNode | None = None
        self.weight = 4
        self.height = 0

    @property
    def awaits_key(self) -> bool:
        return isinstance(self.node, MapNode) and self.key is None
