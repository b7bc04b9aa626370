"""What an expression gives, told from what its names are, and what in it surely fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from itertools import product
from types import MappingProxyType
from typing import Any

from flexiroaster.engine.expressions import kinds as k
from flexiroaster.engine.expressions import syntax
from flexiroaster.engine.expressions.analysis import TYPE_NAMES
from flexiroaster.engine.expressions.kinds import Kind, Kinds, Signature
from flexiroaster.engine.quoting import on_one_line


@dataclass(frozen=True, slots=True)
class Type:
    """`kinds` are all that a value may be, and nothing where getting one surely fails. `members` are those of a
    mapping, others may be anything; `element` is that of a list, None for anything.
    """

    kinds: Kinds
    members: Mapping[str, Type] = field(default_factory=lambda: _NONE)
    element: Type | None = None

    def __or__(self, other: Type) -> Type:
        """What both have in common remains known; members are not compared, there may be a hundred thousand."""
        if self is other or not other.kinds:
            return self
        if not self.kinds:
            return other
        element = self.element and other.element and self.element | other.element
        members = self.members if self.members is other.members else _NONE
        return Type(self.kinds | other.kinds, members, element)


_NONE: Mapping[str, Type] = MappingProxyType({})
ANYTHING = Type(k.ANY)
_FAILS = Type(k.NOTHING)
_TRUTH = Type(k.BOOL)


def union(types: Iterable[Type]) -> Type:
    """Of no types: anything."""
    given = list(types)
    return reduce(lambda one, other: one | other, given) if given else ANYTHING


def of_value(value: Any) -> Type:
    """Of a JSON value, and of those that JSON Schema takes for the same: 3.0 is 3, and 3 is 3.0."""
    match value:
        case None:
            return Type(k.NULL)
        case bool():
            return _TRUTH
        case int() | float() if value == int(value):
            return Type(k.JSON_NUMBERS)
        case float():
            return Type(k.DOUBLE)
        case str():
            return Type(k.STRING)
        case list() | tuple():
            return Type(k.LIST)
        case Mapping():
            return Type(k.MAP)
        case _:
            return ANYTHING


_OF_SCHEMA: Mapping[str, Kinds] = {
    "null": k.NULL,
    "boolean": k.BOOL,
    "integer": k.JSON_NUMBERS,
    "number": k.JSON_NUMBERS,
    "string": k.STRING,
    "array": k.LIST,
    "object": k.MAP,
}


def of_schema(schema: object) -> Type:
    """Of the values that fit a JSON Schema; anything where it does not say."""
    if not isinstance(schema, Mapping):
        return ANYTHING
    named = schema.get("type")
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list):
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        return union(map(of_value, values)) if isinstance(values, list) else ANYTHING
    members, items = schema.get("properties"), schema.get("items")
    return Type(
        frozenset().union(*(_OF_SCHEMA.get(str(name), k.ANY) for name in names)),
        {name: of_schema(below) for name, below in members.items()} if isinstance(members, Mapping) else _NONE,
        of_schema(items) if isinstance(items, Mapping) and "prefixItems" not in schema else None,
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that fails whenever it is reached. `sentence` goes on after "In `…`, "; `cure` is the whole expression
    as it could be, None where none is known. `is_doubtful` does not fail, but can only ever give one answer.
    """

    start: int
    sentence: str
    cure: str | None = None
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Inferred:
    type: Type
    faults: Sequence[Fault] = ()

    @property
    def fails(self) -> bool:
        """Surely, whatever the values are."""
        return not self.type.kinds


def infer(source: str, names: Mapping[str, Type]) -> Inferred:
    """`names` not given may be anything. What cannot be read gives anything."""
    tree = _tree(source)
    if tree is None:
        return Inferred(ANYTHING)
    reading = _Reading(source)
    return Inferred(reading.type_of(tree, names), reading.faults)


@lru_cache(maxsize=1024)
def _tree(source: str) -> syntax.Node | None:
    return syntax.parse(source)


class _Reading:
    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[Fault] = []

    def type_of(self, node: syntax.Node, names: Mapping[str, Type]) -> Type:
        match node:
            case syntax.Literally():
                return Type(frozenset({Kind[node.kind.upper()]}))
            case syntax.Named():
                return names.get(node.name, Type(k.TYPE) if node.name in TYPE_NAMES else ANYTHING)
            case syntax.Member():
                return self._member(node, names)
            case syntax.Index():
                return self._index(node, names)
            case syntax.Call():
                return self._call(node, names)
            case syntax.Macro():
                return self._macro(node, names)
            case syntax.Unary():
                return self._unary(node, names)
            case syntax.Binary(operator="&&" | "||"):
                return self._logical(node, names)
            case syntax.Binary():
                return self._binary(node, names)
            case syntax.Choice():
                return self._choice(node, names)
            case syntax.Listed():
                items = [self.type_of(item, names) for item in node.items]
                return Type(k.LIST, element=union(items)) if all(item.kinds for item in items) else _FAILS
            case syntax.Mapped():
                parts = [self.type_of(part, names) for entry in node.entries for part in entry]
                return Type(k.MAP) if all(part.kinds for part in parts) else _FAILS
            case _:
                return ANYTHING

    def _member(self, node: syntax.Member, names: Mapping[str, Type]) -> Type:
        holder = self.type_of(node.holder, names)
        if holder.kinds and Kind.MAP not in holder.kinds:
            return self._fault(node, f"{self._said(node.holder, holder)} has no members, so no `{node.name}`")
        return holder.members.get(node.name, ANYTHING) if holder.kinds else _FAILS

    def _index(self, node: syntax.Index, names: Mapping[str, Type]) -> Type:
        holder, key = self.type_of(node.holder, names), self.type_of(node.key, names)
        if not holder.kinds or not key.kinds:
            return _FAILS
        if not holder.kinds & k.WITH_MEMBERS:
            return self._fault(node, f"{self._said(node.holder, holder)} is neither a list nor a mapping")
        takes = (k.INT | k.UINT if Kind.LIST in holder.kinds else k.NOTHING) | (
            k.KEYS if Kind.MAP in holder.kinds else k.NOTHING
        )
        if not key.kinds & takes:
            said = self._said(node.key, key)
            return self._fault(node, f"{said} is no place in {self._said(node.holder, holder)}")
        return (holder.element or ANYTHING) if holder.kinds == k.LIST else ANYTHING

    def _call(self, node: syntax.Call, names: Mapping[str, Type]) -> Type:
        if node.function == "has":
            return _TRUTH
        given = [self.type_of(argument, names) for argument in node.arguments]
        if not all(one.kinds for one in given):
            return _FAILS
        if node.function == "dyn" and len(given) == 1:
            return given[0]
        signature = _signature(node.function, len(given))
        if signature is None:
            return ANYTHING
        if len(given) in signature.counts:
            for argument, one, takes in zip(node.arguments, given, signature.takes, strict=False):
                if not one.kinds & takes:
                    return self._unfit(node, argument, one, takes)
        return Type(signature.gives, element=Type(k.STRING) if node.function == "split" else None)

    def _unfit(self, node: syntax.Call, argument: syntax.Node, given: Type, takes: Kinds) -> Type:
        wants = k.named(takes)
        sentence = f"{node.function}() takes {wants}, not {self._said(argument, given)}"
        return self._fault(node, sentence, self._replaced(argument, "string({})") if takes <= _TEXTS else None)

    def _macro(self, node: syntax.Macro, names: Mapping[str, Type]) -> Type:
        items = self.type_of(node.items, names)
        if not items.kinds:
            return _FAILS
        if not items.kinds & k.WITH_MEMBERS:
            said = self._said(node.items, items)
            return self._fault(node, f"`{node.function}` goes through lists and mappings, not through {said}")
        variable = (items.element or ANYTHING) if items.kinds == k.LIST else ANYTHING
        inner = {**names, node.variable: variable}
        types = [self.type_of(body, inner) for body in node.bodies]
        conditions = node.bodies[:-1] if node.function == "map" else node.bodies
        for body, found in zip(conditions, types, strict=False):
            self._require_truth(body, found, f"`{node.function}` asks")
        match node.function:
            case "map":
                return Type(k.LIST, element=types[-1] if types[-1].kinds else None)
            case "filter":
                return Type(items.kinds & k.WITH_MEMBERS | k.LIST, element=items.element)
            case _:
                return _TRUTH

    def _unary(self, node: syntax.Unary, names: Mapping[str, Type]) -> Type:
        operand = self.type_of(node.operand, names)
        kinds = k.of_unary(node.operator, operand.kinds)
        if kinds or not operand.kinds:
            return Type(kinds)
        if node.operator == "!":
            self._require_truth(node.operand, operand, "`!` turns", bracketed=True)
            return _FAILS
        return self._fault(node, f"`-` turns numbers, not {self._said(node.operand, operand)}")

    def _logical(self, node: syntax.Binary, names: Mapping[str, Type]) -> Type:
        """A failing side is overlooked where the other one decides."""
        left, right = self.type_of(node.left, names), self.type_of(node.right, names)
        for side, found in ((node.left, left), (node.right, right)):
            self._require_truth(side, found, f"`{node.operator}` joins")
        return _TRUTH if Kind.BOOL in left.kinds | right.kinds else _FAILS

    def _choice(self, node: syntax.Choice, names: Mapping[str, Type]) -> Type:
        condition = self.type_of(node.condition, names)
        self._require_truth(node.condition, condition, "`?` asks")
        first, second = self.type_of(node.first, names), self.type_of(node.second, names)
        return first | second if Kind.BOOL in condition.kinds else _FAILS

    def _require_truth(self, node: syntax.Node, found: Type, what: str, *, bracketed: bool = False) -> None:
        if not found.kinds or Kind.BOOL in found.kinds:
            return
        wanted = "for a condition" if what.endswith("asks") else "conditions"
        form = comparison(found, "({})" if isinstance(node, syntax.Choice) else "{}")
        cure = form and self._replaced(node, f"({form})" if bracketed else form)
        self._fault(node, f"{what} {wanted}, not {self._said(node, found)}", cure)

    def _binary(self, node: syntax.Binary, names: Mapping[str, Type]) -> Type:
        left, right = self.type_of(node.left, names), self.type_of(node.right, names)
        kinds = k.of_binary(node.operator, left.kinds, right.kinds)
        if not left.kinds or not right.kinds:
            return _FAILS
        if node.operator in {"==", "!="}:
            self._look_whether_ever_equal(node, left, right)
        if kinds:
            return Type(kinds, element=_joined(left, right) if kinds == k.LIST else None)
        one, other = self._said(node.left, left), self._said(node.right, right)
        return self._fault(node, f"`{node.operator}` cannot take {one} and {other}", self._cure(node, left, right))

    def _look_whether_ever_equal(self, node: syntax.Binary, left: Type, right: Type) -> None:
        numbers_as_one = [one.kinds | k.NUMBERS if one.kinds & k.NUMBERS else one.kinds for one in (left, right)]
        if numbers_as_one[0] & numbers_as_one[1] or k.NULL in (left.kinds, right.kinds):
            return
        one, other = self._said(node.left, left), self._said(node.right, right)
        cure = self._cure(node, left, right)
        self.faults.append(Fault(node.start, f"{one} never equals {other}", cure, is_doubtful=True))

    def _cure(self, node: syntax.Binary, left: Type, right: Type) -> str | None:
        """The first change of one side that lets the operator take both."""
        if node.operator == "in" and right.kinds == left.kinds == k.STRING:
            text = f"{self._text(node.right)}.contains({self._text(node.left)})"
            return self.source[: node.start] + text + self.source[node.end :]
        sides = ((node.left, left, right), (node.right, right, left))
        for enough in (all, any):
            for function in _CURES.get(node.operator, ()):
                for side, found, other in sides:
                    if self._mends(function, node, found, other, is_left=side is node.left, enough=enough):
                        return self._replaced(side, f"{function}({{}})")
        return None

    def _mends(
        self,
        function: str,
        node: syntax.Binary,
        found: Type,
        other: Type,
        *,
        is_left: bool,
        enough: Callable[[Iterable[object]], bool],
    ) -> bool:
        """Whether the operator takes what the function makes of this side, and the other side as it is."""
        signature = k.FUNCTIONS[function]
        if not found.kinds <= signature.takes[0] or (function == "string" and other.kinds != k.STRING):
            return False
        pairs = product(signature.gives, other.kinds)
        return enough(
            _of_two(node.operator, one, two) if is_left else _of_two(node.operator, two, one) for one, two in pairs
        )

    def _replaced(self, node: syntax.Node, form: str) -> str:
        """The whole expression, with this part written in another form."""
        return self.source[: node.start] + form.format(self._text(node)) + self.source[node.end :]

    def _said(self, node: syntax.Node, found: Type) -> str:
        """`text (`inputs.day`)`."""
        return f"{k.named(found.kinds) or 'a value'} (`{on_one_line(self._text(node), _LONGEST_PART)}`)"

    def _text(self, node: syntax.Node) -> str:
        return self.source[node.start : node.end]

    def _fault(self, node: syntax.Node, sentence: str, cure: str | None = None) -> Type:
        self.faults.append(Fault(node.start, sentence, cure))
        return _FAILS


_LONGEST_PART = 60
_TEXTS = k.STRING | k.TYPE
_COMPARED = ("int", "double", "timestamp", "duration", "size")
_CURES: Mapping[str, Sequence[str]] = {
    "+": ("string", "double", "int", "duration"),
    "-": ("double", "int", "timestamp", "duration"),
    **dict.fromkeys(("*", "/"), ("double", "int")),
    "%": ("int",),
    **dict.fromkeys(("<", "<=", ">", ">="), _COMPARED),
}
_COUNTING = {"min", "max"}


def _signature(function: str, count: int) -> Signature | None:
    if function not in _COUNTING:
        return k.FUNCTIONS.get(function)
    takes = k.NUMBERS | k.LIST if count == 1 else k.NUMBERS
    return Signature((takes,) * count, k.JSON_NUMBERS, range(count, count + 1))


def _of_two(operator: str, left: Kind, right: Kind) -> Kinds:
    return k.of_binary(operator, frozenset({left}), frozenset({right}))


def _joined(left: Type, right: Type) -> Type | None:
    if left.kinds != k.LIST or right.kinds != k.LIST or left.element is None or right.element is None:
        return None
    return left.element | right.element


def comparison(found: Type, of: str) -> str | None:
    """How a value so written becomes a condition; None where that is not obvious."""
    if found.kinds == k.STRING:
        return f"{of} != ''"
    if found.kinds == k.DOUBLE:
        return f"{of} > 0.0"
    if found.kinds <= k.NUMBERS:
        return f"{of} > 0"
    return f"size({of}) > 0" if found.kinds <= k.WITH_MEMBERS else None
