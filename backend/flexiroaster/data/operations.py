"""The operations of the `processing` stage. Their fields are the stage's documentation and JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

INPUT = "input"
"""What the table is called in the compiled SQL, and in users' own."""

Expression = Annotated[str, Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Table = Annotated[
    Any,
    Field(description="The other table: `${{ results.<stage>.data }}`, or records written here."),
]


class _Operation(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Filter(_Operation):
    """Keep the rows for which an expression is true."""

    op: Literal["filter"]
    expr: Expression = Field(description="A condition in SQL.", examples=["amount > 0 and region <> 'test'"])


class Select(_Operation):
    """Keep some columns, in this order; or all but some."""

    op: Literal["select"]
    columns: list[Name] = Field([], description="The columns to keep.")
    exclude: list[Name] = Field([], description="Or the columns to leave out.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.columns) == bool(self.exclude):
            raise ValueError("give either `columns` or `exclude`")
        return self


class Rename(_Operation):
    """Give columns new names."""

    op: Literal["rename"]
    columns: dict[Name, Name] = Field(min_length=1, description="Old name → new name.")


class Cast(_Operation):
    """Change the type of columns."""

    op: Literal["cast"]
    columns: dict[Name, str] = Field(
        min_length=1,
        description="Column → type: text, integer, number, decimal(p,s), boolean, date, timestamp, …",
        examples=[{"amount": "decimal(12,2)", "day": "date"}],
    )
    on_error: Literal["fail", "null"] = Field("fail", description="What to do with values that do not fit.")


class Derive(_Operation):
    """Add columns computed from each row, or replace them."""

    op: Literal["derive"]
    columns: dict[Name, Expression] = Field(
        min_length=1,
        description="New column → expression over the columns before this operation.",
        examples=[{"total": "amount * quantity", "month": "date_trunc('month', ordered_at)"}],
    )


class Sort(_Operation):
    """Order the rows."""

    op: Literal["sort"]
    by: list[Name] = Field(
        min_length=1, description="Columns; a leading `-` means descending. Empty values come last.",
        examples=[["region", "-amount"]],
    )  # fmt: skip


class Limit(_Operation):
    """Keep the first rows."""

    op: Literal["limit"]
    rows: int = Field(ge=0, description="How many rows.")
    offset: int = Field(0, ge=0, description="How many rows to pass over first.")


class Sample(_Operation):
    """Keep a random part of the rows, the same one every time for the same data and seed."""

    op: Literal["sample"]
    rows: int | None = Field(None, ge=1, description="How many rows.")
    percent: float | None = Field(None, gt=0, le=100, description="Or which share of them.")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.rows is None) == (self.percent is None):
            raise ValueError("give either `rows` or `percent`")
        return self


class Dedupe(_Operation):
    """Keep one row of those that are equal. The rows stay in order."""

    op: Literal["dedupe"]
    keys: list[Name] = Field([], description="Columns that make rows equal; all of them when left out.")
    keep: Literal["first", "last"] = Field("first", description="Which of the equal rows to keep.")
    order_by: list[Name] = Field(
        [], description="What first and last mean: columns, `-` for descending; the table's order when left out."
    )


class Aggregate(_Operation):
    """One row per group, with values computed over its rows."""

    op: Literal["aggregate"]
    by: list[Name] = Field([], description="Columns that form the groups; none makes one row of the whole table.")
    values: dict[Name, Expression] = Field(
        min_length=1,
        description="New column → aggregate expression.",
        examples=[{"orders": "count(*)", "revenue": "sum(amount)", "big": "count(*) filter (where amount > 100)"}],
    )


class Join(_Operation):
    """Add the columns of another table's matching rows."""

    op: Literal["join"]
    with_: Table = Field(alias="with")
    on: list[Name] | dict[Name, Name] = Field(
        min_length=1, description="Columns that must be equal: names of both tables, or own name → the other's name."
    )
    how: Literal["inner", "left", "right", "full", "semi", "anti"] = Field(
        "inner",
        description=(
            "`inner` keeps matched rows; `left`, `right`, `full` also unmatched ones; `semi` keeps rows that have a "
            "match, `anti` those that have none, both without adding columns."
        ),
    )
    suffix: str = Field("_right", min_length=1, description="Added to the other table's columns of the same name.")


class Union(_Operation):
    """Add the rows of other tables, matched by column name; a column that one lacks is empty there."""

    op: Literal["union"]
    with_: Table = Field(alias="with", description="Another table, or a list of table references.")
    distinct: bool = Field(False, description="Keep equal rows once.")


class Pivot(_Operation):
    """Turn values of a column into columns."""

    op: Literal["pivot"]
    column: Name = Field(description="The column whose values become columns.")
    value: Expression = Field(description="An aggregate expression for each cell.", examples=["sum(amount)"])
    by: list[Name] = Field([], description="Columns that identify a row of the result.")
    values: list[str | int | float | bool] | None = Field(
        None, description="Which values become columns; found in the data when left out (1,000 at most)."
    )


class Unpivot(_Operation):
    """Turn columns into rows: one with the column's name, one with its value."""

    op: Literal["unpivot"]
    columns: list[Name] = Field(min_length=1, description="The columns to turn into rows.")
    name: Name = Field("name", description="The column that gets the names.")
    value: Name = Field("value", description="The column that gets the values.")
    keep_empty: bool = Field(True, description="Whether empty values give rows too.")


class Window(_Operation):
    """Add columns computed over neighbouring rows: ranks, running totals, differences."""

    op: Literal["window"]
    columns: dict[Name, Expression] = Field(
        min_length=1,
        description="New column → window or aggregate function.",
        examples=[{"rank": "row_number()", "running": "sum(amount)", "before": "lag(amount)"}],
    )
    partition_by: list[Name] = Field([], description="Start anew for each value of these columns.")
    order_by: list[Name] = Field([], description="The order of the rows; `-` for descending.")
    rows: tuple[int | None, int | None] | None = Field(
        None,
        description="The frame in rows around the current one, e.g. [-6, 0] for seven rows; null is without bound.",
    )


class FillNull(_Operation):
    """Put values where there are none."""

    op: Literal["fill_null"]
    columns: dict[Name, str | int | float | bool] = Field(
        min_length=1, description="Column → value.", examples=[{"region": "unknown", "amount": 0}]
    )


class Split(_Operation):
    """Split a text column into several."""

    op: Literal["split"]
    column: Name
    into: list[Name] = Field(min_length=1, description="Names of the new columns, in order.")
    separator: str = Field(",", min_length=1)
    keep: bool = Field(False, description="Whether the split column stays.")


class Explode(_Operation):
    """One row for each item of a list, or of a text's parts."""

    op: Literal["explode"]
    column: Name
    separator: str | None = Field(None, min_length=1, description="Set it when the column is text.")


class Sql(_Operation):
    """Any SELECT over the rows so far, named `input`, and other tables."""

    op: Literal["sql"]
    query: str = Field(
        min_length=1,
        max_length=100_000,
        description="One SELECT of DuckDB's SQL.",
        examples=["select region, median(amount) as median from input group by region"],
    )
    with_: dict[Name, Any] = Field({}, alias="with", description="Name → table that the query may use too.")


class Group(_Operation):
    """Split the result by a column; must be last. `results.<stage>.groups` has a table for each value."""

    op: Literal["group"]
    by: Name


Operation = Annotated[
    Filter | Select | Rename | Cast | Derive | Sort | Limit | Sample | Dedupe | Aggregate | Join | Union | Pivot
    | Unpivot | Window | FillNull | Split | Explode | Sql | Group,
    Field(discriminator="op"),
]  # fmt: skip
