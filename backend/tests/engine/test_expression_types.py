"""What is known of an expression before it runs. The CEL package itself is the judge of all of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flexiroaster.engine.expressions import Expression, ExpressionError
from flexiroaster.engine.expressions import kinds as k
from flexiroaster.engine.expressions.kinds import FUNCTIONS, Kind, Kinds, of_binary, of_unary
from flexiroaster.engine.expressions.syntax import MOST_WORDS, parse
from flexiroaster.engine.expressions.types import ANYTHING, Type, infer, of_schema

MOMENT = datetime(2026, 1, 31, 6, tzinfo=UTC)
SCHEMAS: dict[str, dict[str, Any]] = {
    "n": {"type": "integer"},
    "d": {"type": "number"},
    "s": {"type": "string"},
    "b": {"type": "boolean"},
    "l": {"type": "array", "items": {"type": "integer"}},
    "m": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "z": {"type": ["string", "null"]},
    "any": {},
}
NAMES: Mapping[str, Type] = {
    "inputs": Type(k.MAP, {name: of_schema(schema) for name, schema in SCHEMAS.items()}),
    "execution": Type(k.MAP, {"logical_date": Type(k.TIMESTAMP), "number": Type(k.INT)}),
}
SAMPLES: Mapping[Kind, tuple[str, ...]] = {
    Kind.NULL: ("null",),
    Kind.BOOL: ("true", "false"),
    Kind.INT: ("1", "0"),
    Kind.UINT: ("1u",),
    Kind.DOUBLE: ("1.5",),
    Kind.STRING: ("'a'", "'2026-01-01T00:00:00Z'", "'3'", "'true'", "'3s'", "'UTC'"),
    Kind.BYTES: ("b'a'",),
    Kind.TIMESTAMP: ("timestamp('2026-01-01T00:00:00Z')",),
    Kind.DURATION: ("duration('3s')",),
    Kind.LIST: ("[1]", "['a']"),
    Kind.MAP: ("{'a': 1}",),
    Kind.TYPE: ("type(1)",),
}
OF_CEL = {
    "null_type": Kind.NULL,
    "google.protobuf.Timestamp": Kind.TIMESTAMP,
    "google.protobuf.Duration": Kind.DURATION,
    **{kind.name.lower(): kind for kind in Kind},
}
METHODS = ("contains", "endsWith", "matches", "startsWith", *(name for name in FUNCTIONS if name.startswith("get")))


def fails(source: str, scope: Mapping[str, Any] | None = None) -> bool:
    try:
        Expression.compile(f"size([{source}])").evaluate(scope or {})
    except ExpressionError:
        return True
    return False


def kinds_of(sources: list[str]) -> Kinds:
    """What CEL makes of them, those that fail left out."""
    return frozenset(
        OF_CEL[Expression.compile(f"type({source})").evaluate({})] for source in sources if not fails(source)
    )


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "in"])
def test_operators_take_what_cel_takes(operator: str) -> None:
    for left, right in product(Kind, Kind):
        real = kinds_of([f"{one} {operator} {two}" for one, two in product(SAMPLES[left], SAMPLES[right])])
        assert of_binary(operator, frozenset({left}), frozenset({right})) == real, (left, operator, right)


@pytest.mark.parametrize("operator", ["!", "-"])
def test_signs_take_what_cel_takes(operator: str) -> None:
    for kind in Kind:
        real = kinds_of([f"{operator}{one}" for one in SAMPLES[kind]])
        assert of_unary(operator, frozenset({kind})) == real, kind


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_take_what_they_take_in_cel(function: str) -> None:
    signature = FUNCTIONS[function]
    for count in {signature.counts[0], min(signature.counts[-1], 2)} & {1, 2}:
        for passed in product(Kind, repeat=count):
            calls = [call(function, values) for values in product(*(SAMPLES[kind] for kind in passed))]
            is_refused = any(kind not in takes for kind, takes in zip(passed, signature.takes, strict=False))
            real = kinds_of(calls)
            assert not (is_refused and real), (function, passed)
            assert real <= signature.gives
            # All that is taken works for some value; get() is asked for members by keys of many kinds.
            assert is_refused or real or function == "get" or count not in signature.counts, (function, passed)


def call(function: str, arguments: tuple[str, ...]) -> str:
    if function in METHODS and function != "get":
        return f"{arguments[0]}.{function}({', '.join(arguments[1:])})"
    return f"{function}({', '.join(arguments)})"


@pytest.mark.parametrize(
    ("source", "sentence", "cure"),
    [
        ("inputs.n + 'a'", "`+` cannot take a number (`inputs.n`) and text (`'a'`)", "string(inputs.n) + 'a'"),
        ("'a' + inputs.n", "`+` cannot take text (`'a'`) and a number (`inputs.n`)", "'a' + string(inputs.n)"),
        ("1 + 1.5", "`+` cannot take a whole number (`1`) and a decimal number (`1.5`)", "double(1) + 1.5"),
        ("inputs.s * 2", "`*` cannot take text (`inputs.s`) and a whole number (`2`)", "int(inputs.s) * 2"),
        ("1 < inputs.s", "`<` cannot take a whole number (`1`) and text (`inputs.s`)", "1 < int(inputs.s)"),
        ("inputs.l > 3", "`>` cannot take a list (`inputs.l`) and a whole number (`3`)", "size(inputs.l) > 3"),
        (
            "execution.logical_date < '2026-01-01T00:00:00Z'",
            "`<` cannot take a timestamp (`execution.logical_date`) and text (`'2026-01-01T00:00:00Z'`)",
            "execution.logical_date < timestamp('2026-01-01T00:00:00Z')",
        ),
        ("'a' in inputs.s", "`in` cannot take text (`'a'`) and text (`inputs.s`)", "inputs.s.contains('a')"),
        ("lower(inputs.n)", "lower() takes text, not a number (`inputs.n`)", "lower(string(inputs.n))"),
        ("keys(inputs.l)", "keys() takes a mapping, not a list (`inputs.l`)", None),
        ("inputs.n.map(x, x)", "`map` goes through lists and mappings, not through a number (`inputs.n`)", None),
        ("inputs.s.size.x", "text (`inputs.s`) has no members, so no `size`", None),
        ("inputs.s[0]", "text (`inputs.s`) is neither a list nor a mapping", None),
        ("inputs.l[inputs.s]", "text (`inputs.s`) is no place in a list (`inputs.l`)", None),
        ("-inputs.s", "`-` turns numbers, not text (`inputs.s`)", None),
        ("!inputs.s", "`!` turns conditions, not text (`inputs.s`)", "!(inputs.s != '')"),
        ("!!!inputs.n", "`!` turns conditions, not a number (`inputs.n`)", "!!!(inputs.n > 0)"),
        ("!(!inputs.n)", "`!` turns conditions, not a number (`inputs.n`)", "!(!(inputs.n > 0))"),
        ("inputs.s && inputs.n", "`&&` joins conditions, not text (`inputs.s`)", "inputs.s != '' && inputs.n"),
        ("inputs.n ? 1 : 2", "`?` asks for a condition, not a number (`inputs.n`)", "inputs.n > 0 ? 1 : 2"),
        ("(1 + 1) + 'a'", "`+` cannot take a whole number (`(1 + 1)`) and text (`'a'`)", "string((1 + 1)) + 'a'"),
        ("inputs.m.a + 'x'", "`+` cannot take a number (`inputs.m.a`) and text (`'x'`)", "string(inputs.m.a) + 'x'"),
        ("inputs.l[0] + 'x'", "`+` cannot take a number (`inputs.l[0]`) and text (`'x'`)", "string(inputs.l[0]) + 'x'"),
        ("inputs.z * 2", "`*` cannot take null or text (`inputs.z`) and a whole number (`2`)", None),
        ("[1].map(x, x)[0] + 'a'", "`+` cannot take a whole number (`[1].map(x, x)[0]`) and text (`'a'`)", None),
    ],
)  # fmt: skip
def test_what_surely_fails_is_told_with_types_and_cure(source: str, sentence: str, cure: str | None) -> None:
    found = infer(source, NAMES)
    assert found.fails
    assert found.faults[0].sentence == sentence
    if cure is not None:
        assert found.faults[0].cure == cure
        assert len(infer(cure, NAMES).faults) < len(found.faults)


@pytest.mark.parametrize(
    "source",
    [
        "inputs.any + 'a'",
        "inputs.any && inputs.any",
        "inputs.z + 'a'",  # text, when it is given
        "inputs.d * 1.5",
        "inputs.n + 1.5",  # 3.0 is a whole number in JSON
        "inputs.l + inputs.m",
        "inputs.m.b + 'a'",
        "inputs.m['a'] + 1",
        "results.a.rows > 0 && results.a.name + 'x' == 'y'",
        "has(inputs.n.x)",
        "inputs.l.map(x, x * 2).exists(x, x > 3)",
        "inputs.l.filter(x, x > 1).size() > 0",
        "type(inputs.n) == int",
        "{'a': 1}.a + 'x'",  # of a mapping written here nothing is known
        "execution.logical_date - duration('1h') < timestamp('2026-01-31T00:00:00Z')",
        "execution.logical_date.getHours() >= 6",
        "true ? inputs.n : 'a'",
        "inputs.z == null || inputs.z.size() > 3",
        "min(inputs.n, 3.5) + max(inputs.l)",
        "dyn(inputs.any) + 1",
        "'a' in inputs.m && 1 in inputs.l",
        ".inputs.n",
        "split(inputs.s, ',')[0].startsWith('x')",
        "!!inputs.s + 'a'",  # CEL leaves out what turns twice
        "--inputs.l",
        "!!!(!inputs.b)",
    ],
)
def test_what_may_work_is_not_told(source: str) -> None:
    found = infer(source, NAMES)
    assert not found.fails
    assert found.faults in ([], ())


@pytest.mark.parametrize(
    "source",
    [
        "inputs.b || inputs.n + 'a' == 'x'",
        "inputs.b ? 1 : inputs.n + 'a'",
        "inputs.l.map(x, x + 'a')",
        "inputs.l.all(x, x)",
        "inputs.b && inputs.s",
    ],
)
def test_what_fails_only_when_it_is_reached_leaves_the_expression_a_value(source: str) -> None:
    found = infer(source, NAMES)
    assert not found.fails
    assert len(found.faults) == 1


@pytest.mark.parametrize("source", ["inputs.n == '3'", "'3' != inputs.n", "inputs.b == 'true'", "inputs.s == 3"])
def test_what_can_never_be_equal_is_doubtful(source: str) -> None:
    found = infer(source, NAMES)
    assert [fault.is_doubtful for fault in found.faults] == [True]
    assert not found.fails
    for scope in (scope_of(3, "3", True), scope_of(0, "true", False)):
        assert Expression.compile(source).evaluate(scope) is ("!=" in source)


@pytest.mark.parametrize("source", ["inputs.n == 3.0", "inputs.z == null", "inputs.n != null", "inputs.any == 'a'"])
def test_what_can_be_equal_is_not_doubtful(source: str) -> None:
    assert not infer(source, NAMES).faults


def scope_of(n: float, s: str, b: bool, **more: Any) -> dict[str, Any]:
    inputs = {"n": n, "d": 1.5, "s": s, "b": b, "l": [1, 2], "m": {"a": 1}, "z": None, "any": {"a": [1]}}
    return {"inputs": inputs | more, "execution": {"logical_date": MOMENT, "number": 1}}


def test_a_long_expression_is_left_to_run() -> None:
    assert parse(" + ".join(["1"] * MOST_WORDS)) is None
    assert parse("!(" * 100 + "true" + ")" * 100) is None
    assert infer("!" * 101 + "true", {}).type == Type(k.BOOL)
    deep = "1" + " + 1" * (MOST_WORDS // 2 - 1)
    assert infer(deep, {}).type == Type(k.INT)
    assert infer("(" * 32 + "1" + ")" * 32, {}).type == Type(k.INT)


@pytest.mark.parametrize(
    ("schema", "kinds"),
    [
        ({"type": "integer"}, k.JSON_NUMBERS),
        ({"type": ["string", "null"]}, k.STRING | k.NULL),
        ({"enum": ["a", None]}, k.STRING | k.NULL),
        ({"enum": [1, 2]}, k.JSON_NUMBERS),
        ({"enum": [1.0, 2.5]}, k.JSON_NUMBERS),  # 1 fits
        ({"enum": [0.5, 2.5]}, k.DOUBLE),
        ({"const": True}, k.BOOL),
        ({"minimum": 3}, k.ANY),
        ({"anyOf": [{"type": "string"}]}, k.ANY),
        (True, k.ANY),
    ],
)
def test_schemas_say_which_values_there_are(schema: object, kinds: Kinds) -> None:
    assert of_schema(schema).kinds == kinds


ATOMS = st.sampled_from(
    [
        *(f"inputs.{name}" for name in SCHEMAS),
        *(text for texts in SAMPLES.values() for text in texts[:2]),
        "inputs.m.a", "inputs.l[0]", "inputs.any.a", "execution.number", "execution.logical_date", "x",
    ]
)  # fmt: skip
BINARY = st.sampled_from(["+", "-", "*", "/", "%", "<", ">=", "==", "!=", "in", "&&", "||"])
ONE = st.sampled_from(["string", "int", "double", "size", "keys", "lower", "json", "bool", "dyn", "sum", "max", "type"])
MACROS = st.sampled_from(["map", "filter", "all", "exists", "exists_one"])
MEMBERS = st.sampled_from(["a", "size()", "contains('a')", "getHours()"])


def larger(below: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(below, BINARY, below).map(lambda it: f"({it[0]} {it[1]} {it[2]})"),
        st.tuples(below, BINARY, below, BINARY, below).map(" ".join).map(lambda text: f"({text})"),
        st.tuples(below, below, below).map(lambda it: f"({it[0]} ? {it[1]} : {it[2]})"),
        st.tuples(st.sampled_from(["!", "-", "!!", "--", "!!!"]), below).map(lambda it: f"{it[0]}({it[1]})"),
        st.tuples(ONE, below).map(lambda it: f"{it[0]}({it[1]})"),
        st.tuples(below, below).map(lambda it: f"({it[0]})[{it[1]}]"),
        st.tuples(below, MACROS, below).map(lambda it: f"({it[0]}).{it[1]}(x, {it[2]})"),
        st.tuples(below, MEMBERS).map(lambda it: f"({it[0]}).{it[1]}"),
        st.lists(below, max_size=2).map(lambda it: f"[{', '.join(it)}]"),
        below.map(lambda it: f"{{'a': {it}}}"),
    )  # fmt: skip


WHOLE = st.integers(-3, 3)
SCOPES = st.builds(
    scope_of,
    n=WHOLE | WHOLE.map(float),
    s=st.sampled_from(["", "a", "3", "true"]),
    b=st.booleans(),
    d=WHOLE | st.sampled_from([0.5, -1.5]),
    l=st.lists(WHOLE, max_size=2),
    m=st.fixed_dictionaries({}, optional={"a": WHOLE, "b": st.text("ab", max_size=1)}),
    z=st.sampled_from([None, "a"]),
    any=st.sampled_from([None, True, 1, 1.5, "a", [1], {"a": 1}]),
)
OF_PYTHON: Mapping[type, Kinds] = {
    type(None): k.NULL,
    bool: k.BOOL,
    int: k.INT | k.UINT,
    float: k.DOUBLE,
    str: k.STRING | k.TIMESTAMP | k.DURATION | k.TYPE,
    list: k.LIST,
    dict: k.MAP,
}


@settings(max_examples=1_500)
@given(st.recursive(ATOMS, larger, max_leaves=6), st.lists(SCOPES, min_size=2, max_size=4))
def test_what_is_refused_fails_and_what_works_is_of_the_type_told(source: str, scopes: list[dict[str, Any]]) -> None:
    try:
        expression = Expression.compile(source)
    except ExpressionError:
        assume(False)
    found = infer(source, NAMES)
    for scope in scopes:
        try:
            value = expression.evaluate({**scope, "x": 1})
        except ExpressionError:
            continue
        assert not found.fails, found.faults
        assert found.type.kinds & OF_PYTHON[type(value)], value


def test_members_are_common_where_they_are_the_same_and_elements_where_both_know_them() -> None:
    numbers, texts = (Type(k.LIST, element=of_schema({"type": kind})) for kind in ("integer", "string"))
    assert numbers | texts == Type(k.LIST, element=Type(k.JSON_NUMBERS | k.STRING))
    assert (numbers | Type(k.LIST)).element is None
    schema = of_schema(SCHEMAS["m"])
    assert schema | schema == schema
    assert not (schema | Type(k.MAP)).members


class _Uncompared(dict[str, Type]):
    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")


def test_many_members_are_not_compared() -> None:
    one, other = (Type(k.MAP, _Uncompared(a=Type(k.INT))) for _ in range(2))
    assert infer("true ? a : b", {"a": one, "b": other}).type.kinds == k.MAP
    assert infer("[a, b, a]", {"a": one, "b": other}).type.kinds == k.LIST


def test_nothing_known_tells_nothing() -> None:
    assert infer("a.b + 'c' > d[0]", {}).type == Type(k.BOOL)
    assert infer("a", {}).type == ANYTHING
    assert infer("a + timestamp(b)", {"a": Type(k.TIMESTAMP)}).fails
