"""What a table is checked for. A rule is one condition in SQL that is true for the rows that break it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.data.failures import type_in_words
from flexiroaster.data.quoting import did_you_mean, literal, name, names
from flexiroaster.data.types import is_moment, is_number
from flexiroaster.engine.errors import Location, StageFailed

Bound = int | float | str


class References(BaseModel):
    """A foreign key: the values must be in a column of another table."""

    model_config = ConfigDict(extra="forbid")

    data: Any = Field(description="The other table: `${{ results.<stage>.data }}`.")
    column: str = Field(description="Its column.")


class ColumnRules(BaseModel):
    """Rules for one column. Empty values break only `not_null`."""

    model_config = ConfigDict(extra="forbid")

    type: str | None = Field(None, description="text, integer, number, decimal(p,s), boolean, date, timestamp, …")
    required: bool = Field(True, description="Whether the column must be there.")
    not_null: bool = Field(False, description="Whether every row must have a value.")
    unique: bool = Field(False, description="Whether values may not repeat. The first row with a value is valid.")
    min: Bound | None = Field(None, description="The least value allowed.")
    max: Bound | None = Field(None, description="The greatest value allowed.")
    above: Bound | None = Field(None, description="Values must be greater than this.")
    below: Bound | None = Field(None, description="Values must be less than this.")
    min_length: int | None = Field(None, ge=0, description="The least length of a text.")
    max_length: int | None = Field(None, ge=0, description="The greatest length of a text.")
    pattern: str | None = Field(None, description="A regular expression (RE2) found in the text; anchor with ^ and $.")
    allowed: list[str | int | float | bool] | None = Field(None, min_length=1, description="The values allowed.")
    references: References | None = Field(None, description="The values must be in a column of another table.")


class Check(BaseModel):
    """A condition that every row must meet. Where it is neither true nor false (empty values), the row passes."""

    model_config = ConfigDict(extra="forbid")

    expr: str = Field(min_length=1, description="A condition in SQL.", examples=["shipped_at >= ordered_at"])
    name: str | None = Field(None, description="What to call it in the report.")


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken` is the SQL condition of rows that break it, None where rows are found another way (`unique_over`).

    `says` completes “column 'x' …”, with the value in place of `{value}`.
    """

    rule: str
    column: str | None
    says: str
    broken: str | None = None
    unique_over: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.column}: {self.rule}" if self.column else self.rule


@dataclass(slots=True)
class RuleSet:
    """Rules for rows, and the types that columns must have for them."""

    rules: list[Rule] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)


def column_rules(
    columns: Mapping[str, ColumnRules], types: Mapping[str, str], foreign: Mapping[str, str]
) -> list[Rule]:
    """The rules of configured columns. `types` are the columns' types after casting; `foreign` names the table that
    holds the values a column refers to, none of them empty."""
    found: list[Rule] = []
    for wanted, given in columns.items():
        column = known_column(wanted, types, required=given.required)
        if column is not None:
            found += _of_column(column, types[column], given, foreign.get(wanted))
    return found


def known_column(wanted: str, known: Iterable[str], *, required: bool = True) -> str | None:
    """The column's name as the table spells it; None where it is missing and may be."""
    names_ = list(known)
    column = {name_.lower(): name_ for name_ in names_}.get(wanted.lower())
    if column is None and required:
        raise StageFailed(
            f"The column '{wanted}' is missing.{did_you_mean(wanted, names_)}",
            code="missing_column",
            kind="data",
            location=Location(column=wanted),
        )
    return column


def _of_column(column: str, type_name: str, given: ColumnRules, foreign: str | None) -> list[Rule]:
    sql = name(column)
    rules: list[Rule] = []
    if given.not_null:
        rules.append(Rule("not_null", column, "is empty", f"{sql} IS NULL"))
    bounds = (
        ("min", given.min, "<", "is {value}, less than {bound}"),
        ("max", given.max, ">", "is {value}, more than {bound}"),
        ("above", given.above, "<=", "is {value}, not above {bound}"),
        ("below", given.below, ">=", "is {value}, not below {bound}"),
    )
    for rule, bound, operator, says in bounds:
        if bound is not None:
            broken = f"{sql} {operator} {_bound(column, type_name, rule, bound)}"
            rules.append(Rule(rule, column, says.replace("{bound}", str(bound)), broken))
    text = f"CAST({sql} AS VARCHAR)"
    if given.min_length is not None:
        says = f"is '{{value}}', shorter than {given.min_length} characters"
        rules.append(Rule("min_length", column, says, f"length({text}) < {given.min_length}"))
    if given.max_length is not None:
        says = f"is '{{value}}', longer than {given.max_length} characters"
        rules.append(Rule("max_length", column, says, f"length({text}) > {given.max_length}"))
    if given.pattern is not None:
        says = f"is '{{value}}', which does not match {given.pattern}"
        broken = f"NOT regexp_matches({text if type_name != 'VARCHAR' else sql}, {literal(given.pattern)})"
        rules.append(Rule("pattern", column, says, broken))
    if given.allowed is not None:
        shown = ", ".join(map(str, given.allowed[:10])) + (", …" if len(given.allowed) > 10 else "")
        values = ", ".join(literal(str(value) if type_name == "VARCHAR" else value) for value in given.allowed)
        rules.append(Rule("allowed", column, f"is '{{value}}', not one of {shown}", f"{sql} NOT IN ({values})"))
    if foreign is not None and given.references is not None:
        theirs = name(given.references.column)
        inner = f"SELECT {theirs} FROM {name(foreign)}"
        says = f"is '{{value}}', which the other table's column '{given.references.column}' does not have"
        rules.append(Rule("references", column, says, f"{sql} IS NOT NULL AND {sql} NOT IN ({inner})"))
    if given.unique:
        rules.append(unique([column]))
    return rules


def any_broken(rules: Iterable[Rule]) -> str | None:
    """The SQL condition of rows that break any of the rules; None where none of them is a condition."""
    return " OR ".join(f"({rule.broken})" for rule in rules if rule.broken is not None) or None


def type_rule(column: str, type_name: str, broken: str) -> Rule:
    return Rule("type", column, f"expected {type_in_words(type_name)}, got '{{value}}'", broken)


def unique(columns: list[str]) -> Rule:
    if len(columns) == 1:
        return Rule("unique", columns[0], "repeats '{value}'", unique_over=tuple(columns))
    return Rule(f"unique ({', '.join(columns)})", None, f"repeats the values of {', '.join(columns)}",
                unique_over=tuple(columns))  # fmt: skip


def check_rules(checks: Sequence[Check], columns: Iterable[str]) -> list[Rule]:
    if not checks:
        return []
    from flexiroaster.data import expressions  # sqlglot: only when there are checks

    rules: list[Rule] = []
    known = list(columns)
    for number, check in enumerate(checks, 1):
        called = check.name or f"check {number}"
        tree = expressions.value(check.expr, known, f"Check {number}{f' ({check.name})' if check.name else ''}")
        broken = f"NOT ({tree.sql(dialect='duckdb', comments=False)})"
        rules.append(Rule(called, None, f"does not meet `{' '.join(check.expr.split())}`", broken))
    return rules


def _bound(column: str, type_name: str, rule: str, bound: Bound) -> str:
    """The bound as a literal of the column's type."""
    if is_number(type_name) and not isinstance(bound, str):
        return literal(bound)
    if is_moment(type_name) or type_name == "TIME":
        return f"CAST({literal(str(bound))} AS {type_name})"
    if type_name == "VARCHAR" and isinstance(bound, str):
        return literal(bound)
    word = "text" if type_name == "VARCHAR" else type_name
    raise StageFailed(
        f"Column '{column}' is {word}, so `{rule}: {bound}` cannot be checked. Add a `type` to its rules "
        "(such as `type: number`): values that do not fit it are then reported too.",
        code="bad_rule",
        location=Location(column=column),
    )


def key_of(rule: Rule) -> str:
    return names(rule.unique_over)
