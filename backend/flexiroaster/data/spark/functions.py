"""The functions of DuckDB that Spark can say: some by the same words, the others by what gives the same value.

`tests/data/spark/test_functions.py` runs each of them on both. What is in no table here is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from flexiroaster.data.spark import dialect
from flexiroaster.data.spark.dialect import OPERATORS, NotInSpark, SparkWords, kind, typed
from flexiroaster.data.spark.patterns import java_replacement
from flexiroaster.data.spark.types import FLOATS, INTEGERS, is_decimal

Said = Callable[[Any, Any], str]

_UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond")
_NAN, _INFINITY = "DOUBLE('NaN')", "DOUBLE('Infinity')"
_STRFTIME = {
    "Y": "yyyy", "y": "yy", "m": "MM", "-m": "M", "d": "dd", "-d": "d", "H": "HH", "-H": "H", "I": "hh", "-I": "h",
    "M": "mm", "-M": "m", "S": "ss", "-S": "s", "f": "SSSSSS", "g": "SSS", "j": "DDD", "-j": "D", "b": "MMM",
    "B": "MMMM", "a": "EEE", "A": "EEEE", "p": "a",
}  # fmt: skip
_READ = {"Y": "yyyy", "m": "M", "d": "d", "H": "H", "M": "m", "S": "s", "b": "MMM", "B": "MMMM"}


def _call(name: str) -> Said:
    def said(self: SparkWords, node: exp.Func) -> str:
        return f"{name}({', '.join(map(self.sql, arguments(node)))})"

    return said


def arguments(node: exp.Expr) -> list[exp.Expr]:
    """A call's values in the order of its parameters."""
    parts = node.expressions if isinstance(node, exp.Anonymous) else list(node.args.values())
    listed = (part if isinstance(part, list) else [part] for part in parts)
    return [value for values in listed for value in values if isinstance(value, exp.Expr)]


def _text_of(node: exp.Expr | None, what: str) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise NotInSpark(f"{what} that is not a text in quotes", "write it in quotes")
    return str(node.this)


def _number_of(node: exp.Expr | None, what: str) -> int:
    if isinstance(node, exp.Neg):
        return -_number_of(node.this, what)
    if not isinstance(node, exp.Literal) or node.is_string or not str(node.this).isdigit():
        raise NotInSpark(f"{what} that is not written as a whole number", "write the number itself")
    return int(node.this)


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _whole(name: str) -> Said:
    """floor, ceil: Spark gives a BIGINT, which infinity and large numbers do not fit."""

    def said(self: SparkWords, node: exp.Func) -> str:
        if node.args.get("decimals") is not None:
            raise NotInSpark(f"{name} with a number of decimals", "divide, round and multiply")
        sql = self.sql(node.this)
        if typed(node.this, name) not in FLOATS:
            return f"{name}({sql})"
        return f"CASE WHEN abs({sql}) < 9e15 THEN CAST({name}({sql}) AS DOUBLE) ELSE CAST({sql} AS DOUBLE) END"

    return said


def _rounded(self: SparkWords, node: exp.Round) -> str:
    """Of floating point numbers, as C does: scaled, rounded half away from zero and scaled back."""
    sql, of = self.sql(node.this), typed(node.this, "round")
    digits = node.args.get("decimals")
    count = _number_of(digits, "round to a number of digits") if digits is not None else 0
    if of not in FLOATS:
        return f"round({sql}, {count})"
    if count == 0:
        return f"round(CAST({sql} AS DOUBLE), 0)"
    scale = f"1e{abs(count)}D"
    first, then = ("*", "/") if count > 0 else ("/", "*")
    scaled = f"round({self.wrapped(node.this)} {first} {scale}, 0) {then} {scale}"
    return f"CASE WHEN abs({sql}) < 1e{300 - abs(count)}D THEN {scaled} ELSE CAST({sql} AS DOUBLE) END"


def _truncated(self: SparkWords, node: exp.Trunc) -> str:
    if node.args.get("decimals") is not None:
        raise NotInSpark("trunc with a number of decimals", "use round")
    sql, of = self.sql(node.this), typed(node.this, "trunc")
    if of in INTEGERS:
        return sql
    if is_decimal(of):
        return f"CASE WHEN {sql} < 0 THEN ceil({sql}) ELSE floor({sql}) END"
    cut = f"CASE WHEN {sql} < 0 THEN ceil({sql}) ELSE floor({sql}) END"
    return f"CASE WHEN abs({sql}) < 9e15 THEN CAST({cut} AS DOUBLE) ELSE CAST({sql} AS DOUBLE) END"


def _logarithm(self: SparkWords, value: exp.Expr, name: str) -> str:
    sql = f"CAST({self.sql(value)} AS DOUBLE)"
    return f"CASE WHEN {sql} > 0 THEN {name}({sql}) WHEN {sql} = 0 THEN -{_INFINITY} WHEN {sql} < 0 THEN {_NAN} END"


def _log(self: SparkWords, node: exp.Log) -> str:
    if node.expression is None or not node.args.get("expression"):
        return _logarithm(self, node.this, "log10")
    base = _number_of(node.this, "a base of log")
    if base not in (2, 10):
        raise NotInSpark("a logarithm of another base than 2 or 10", "use ln(x) / ln(base)")
    return _logarithm(self, node.expression, f"log{base}")


def _of_double(name: str) -> Said:
    def said(self: SparkWords, node: exp.Func) -> str:
        return f"{name}({', '.join(f'CAST({self.sql(value)} AS DOUBLE)' for value in arguments(node))})"

    return said


def _finite(self: SparkWords, node: exp.Expr) -> str:
    sql = f"CAST({self.sql(arguments(node)[0])} AS DOUBLE)"
    return f"(NOT isnan({sql}) AND abs({sql}) <> {_INFINITY})"


def _infinite(self: SparkWords, node: exp.Expr) -> str:
    return f"(abs(CAST({self.sql(arguments(node)[0])} AS DOUBLE)) = {_INFINITY})"


def _is_nan(self: SparkWords, node: exp.Expr) -> str:
    # Spark's isnan(NULL) is false.
    sql = self.sql(arguments(node)[0])
    return f"CASE WHEN {sql} IS NOT NULL THEN isnan({sql}) END"


# ── texts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _length(self: SparkWords, node: exp.Length) -> str:
    of = typed(node.this, "length")
    return f"{'size' if of.endswith('[]') else 'length'}({self.sql(node.this)})"


def _joined(self: SparkWords, node: exp.Concat) -> str:
    if any(kind(part).endswith("[]") for part in node.expressions):
        raise NotInSpark("concat of lists", "use `||`")
    return f"concat({', '.join(_not_null(self, part) for part in node.expressions)})"


def _not_null(self: SparkWords, part: exp.Expr) -> str:
    return self.text(part) if isinstance(part, exp.Literal) else f"coalesce({self.text(part)}, '')"


def _joined_with(self: SparkWords, node: exp.ConcatWs) -> str:
    separator, *parts = node.expressions
    return f"concat_ws({', '.join([self.sql(separator), *map(self.text, parts)])})"


def _substring(self: SparkWords, node: exp.Substring) -> str:
    text, start, size = self.sql(node.this), node.args["start"], node.args.get("length")
    if isinstance(start, exp.Literal) and str(start.this).isdigit() and int(start.this) > 0:
        rest = "" if size is None else f", {_not_negative(self, size)}"
        return f"substring({text}, {start.this}{rest})"
    if size is None:
        return f"substring({text}, {self.sql(start)})"
    number = self.sql(start)
    long = _not_negative(self, size)
    # A position before the beginning counts, though there is nothing there.
    begin = f"CASE WHEN {number} > 0 THEN {number} WHEN {number} < 0 THEN length({text}) + {number} + 1 ELSE 0 END"
    kept = f"CASE WHEN ({begin}) < 1 THEN greatest({long} + ({begin}) - 1, 0) ELSE {long} END"
    return f"substring({text}, greatest({begin}, 1), {kept})"


def _not_negative(self: SparkWords, size: exp.Expr) -> str:
    if isinstance(size, exp.Neg):
        raise NotInSpark("a substring of negative length", "use a positive length")
    return self.sql(size)


def _left(self: SparkWords, node: exp.Left) -> str:
    text, size = self.sql(node.this), self.wrapped(node.expression)
    return f"substring({text}, 1, CASE WHEN {size} < 0 THEN greatest(length({text}) + {size}, 0) ELSE {size} END)"


def _right(self: SparkWords, node: exp.Right) -> str:
    text, size = self.sql(node.this), self.wrapped(node.expression)
    return f"right({text}, CASE WHEN {size} < 0 THEN greatest(length({text}) + {size}, 0) ELSE {size} END)"


def _part(self: SparkWords, node: exp.SplitPart) -> str:
    _separator(node.args["delimiter"])
    if _number_of(node.args["part_index"], "split_part with a number") == 0:
        raise NotInSpark("part 0 of split_part", "count from 1")
    return f"split_part({self.sql(node.this)}, {self.sql(node.args['delimiter'])}, {self.sql(node.args['part_index'])})"


def _separator(node: exp.Expr | None) -> str:
    separator = _text_of(node, "a separator")
    if not separator:
        raise NotInSpark("splitting at an empty text", "name a separator")
    return separator


def _split(self: SparkWords, node: exp.Expr) -> str:
    text, separator = arguments(node)
    return split(self.sql(text), self.literal(re.escape(_separator(separator))))


def split(text: str, pattern: str) -> str:
    return f"split({text}, {pattern}, -1)"


def _split_at_pattern(self: SparkWords, node: exp.Expr) -> str:
    text, pattern = arguments(node)
    return split(self.sql(text), self.literal(self.pattern(pattern)))


def _starts(name: str) -> Said:
    def said(self: SparkWords, node: exp.Expr) -> str:
        text, part = arguments(node)
        if name == "contains" and kind(text).endswith("[]"):
            return _contained(self, text, part)
        return f"{name}({self.sql(text)}, {self.sql(part)})"

    return said


def _position(self: SparkWords, node: exp.StrPosition) -> str:
    return f"locate({self.sql(node.args['substr'])}, {self.sql(node.this)})"


def _matches(self: SparkWords, node: exp.RegexpLike) -> str:
    flag = node.args.get("flag")
    pattern = self.pattern(node.expression, _text_of(flag, "options") if flag is not None else "")
    return f"({self.wrapped(node.this)} RLIKE {self.literal(pattern)})"


def _fully_matches(self: SparkWords, node: exp.Expr) -> str:
    text, pattern = node.this, node.args["expression"]
    return (
        f"({self.wrapped(text)} RLIKE {self.literal(chr(92) + 'A(?:' + self.pattern(pattern) + ')' + chr(92) + 'z')})"
    )


def _replaced(self: SparkWords, node: exp.RegexpReplace) -> str:
    flags = node.args.get("modifiers")
    options = _text_of(flags, "options") if flags is not None else ""
    pattern = self.pattern(node.expression, options.replace("g", ""))
    replacement = _text_of(node.args["replacement"], "a replacement")
    text = self.sql(node.this)
    if "g" in options:
        return f"regexp_replace({text}, {self.literal(pattern)}, {self.literal(java_replacement(replacement))})"
    # Spark replaces every match: this pattern has one, from the beginning to the end of the first.
    first = rf"\A((?s:.*?))({pattern})"
    return f"regexp_replace({text}, {self.literal(first)}, {self.literal('$1' + java_replacement(replacement, 2))})"


def _extracted(name: str) -> Said:
    def said(self: SparkWords, node: exp.Expr) -> str:
        group = node.args.get("group")
        number = _number_of(group, "a group that is not a number") if group is not None else 0
        options = node.args.get("parameters")
        pattern = self.pattern(node.args["expression"], _text_of(options, "options") if options is not None else "")
        return f"{name}({self.sql(node.this)}, {self.literal(pattern)}, {number})"

    return said


def _trimmed(self: SparkWords, node: exp.Trim) -> str:
    side = str(node.args.get("position") or "BOTH")
    chars = node.args.get("expression")
    return (
        f"trim({side} {self.sql(chars) if chars is not None else chr(39) + ' ' + chr(39)} FROM {self.sql(node.this)})"
    )


def _padded(self: SparkWords, node: exp.Pad) -> str:
    name = "lpad" if node.args.get("is_left") else "rpad"
    return f"{name}({self.sql(node.this)}, {self.sql(node.expression)}, {self.sql(node.args['fill_pattern'])})"


def _code(self: SparkWords, node: exp.Anonymous) -> str:
    text = self.sql(node.expressions[0])
    return f"CASE WHEN {text} = '' THEN -1 ELSE ascii({text}) END"


def _interval_alone(self: SparkWords, node: exp.Expr) -> str:
    raise NotInSpark("an interval by itself", "add it to a moment")


def _json_text(self: SparkWords, node: exp.JSONExtractScalar) -> str:
    path = node.expression
    said = path.sql(dialect="duckdb").strip("'") if not isinstance(path, exp.Literal) else str(path.this)
    if not re.fullmatch(r"\$(\.\w+|\[\d+\])+", said):
        raise NotInSpark("this JSON path", "write a path such as '$.items[0].name'")
    return f"get_json_object({self.sql(node.this)}, {self.literal(said)})"


# ── moments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _truncated_moment(self: SparkWords, node: exp.Expr) -> str:
    unit = str(node.args["unit"].name).lower()
    if unit not in _UNITS:
        raise NotInSpark(f"date_trunc to a {unit}", f"use {', '.join(_UNITS)}")
    of = typed(node.this, "date_trunc")
    cut = f"date_trunc('{unit.upper()}', CAST({self.sql(node.this)} AS TIMESTAMP_LTZ))"
    return cut if of == "TIMESTAMP WITH TIME ZONE" else f"CAST({cut} AS TIMESTAMP_NTZ)"


def _difference(self: SparkWords, node: exp.DateDiff) -> str:
    """DuckDB counts the boundaries between two moments, Spark the whole units."""
    unit = str(node.args["unit"].name).lower().removesuffix("s")
    late, early = self.sql(node.this), self.sql(node.expression)
    months = f"(year({late}) * 12 + month({late}) - year({early}) * 12 - month({early}))"
    match unit:
        case "day":
            return f"CAST(datediff(CAST({late} AS DATE), CAST({early} AS DATE)) AS BIGINT)"
        case "month":
            return f"CAST({months} AS BIGINT)"
        case "year":
            return f"CAST(year({late}) - year({early}) AS BIGINT)"
        case "quarter":
            return f"CAST((year({late}) - year({early})) * 4 + quarter({late}) - quarter({early}) AS BIGINT)"
        case "week":
            return f"(datediff(CAST({late} AS DATE), CAST({early} AS DATE)) DIV 7)"
        case "hour" | "minute" | "second":
            begun = (f"date_trunc('{unit.upper()}', CAST({side} AS TIMESTAMP_LTZ))" for side in (early, late))
            return f"timestampdiff({unit.upper()}, {', '.join(begun)})"
        case _:
            raise NotInSpark(f"date_diff in {unit}s", "use year, quarter, month, week, day, hour, minute or second")


def _field(unit: str) -> Said:
    return lambda self, node: field(self, unit, arguments(node)[0])


def field(self: SparkWords, unit: str, moment: exp.Expr) -> str:
    sql = self.sql(moment)
    if kind(moment) == "INTERVAL":
        raise NotInSpark("a part of an interval", "use date_diff")
    match unit:
        case "year" | "quarter" | "month" | "day" | "hour" | "minute" | "second" | "dayofyear" | "weekofyear":
            if unit in ("hour", "minute", "second") and kind(moment) == "DATE":
                sql = f"CAST({sql} AS TIMESTAMP_NTZ)"
            return f"{unit}({sql})"
        case "doy":
            return f"dayofyear({sql})"
        case "week":
            return f"weekofyear({sql})"
        case "dow" | "dayofweek" | "weekday":
            return f"(dayofweek({sql}) - 1)"
        case "isodow":
            return f"(weekday({sql}) + 1)"
        case "isoyear":
            return f"extract(YEAROFWEEK FROM {sql})"
        case "yearweek":
            return f"(extract(YEAROFWEEK FROM {sql}) * 100 + weekofyear({sql}))"
        case "epoch":
            return f"(unix_micros(CAST({sql} AS TIMESTAMP_LTZ)) / 1000000D)"
        case _:
            raise NotInSpark(
                f"the part '{unit}' of a moment", "use year, month, day, hour, minute, second and the like"
            )


def _extract(self: SparkWords, node: exp.Extract) -> str:
    return field(self, str(node.name).lower(), node.expression)


def _date_part(self: SparkWords, node: exp.Anonymous) -> str:
    unit, moment = node.expressions
    return field(self, _text_of(unit, "a part").lower(), moment)


def _from_epoch(self: SparkWords, node: exp.UnixToTime) -> str:
    value, scale = node.this, node.args.get("scale")
    if scale is None:
        return f"timestamp_micros(CAST(rint(CAST({self.sql(value)} AS DOUBLE) * 1000000D) AS BIGINT))"
    if str(scale.this) != "3":
        raise NotInSpark("epoch_us and epoch_ns", "use epoch_ms")
    if typed(value, "epoch_ms") in INTEGERS:
        return f"CAST(timestamp_millis({self.sql(value)}) AS TIMESTAMP_NTZ)"
    return f"unix_millis(CAST({self.sql(value)} AS TIMESTAMP_LTZ))"


def _format(node: exp.Expr | None, known: dict[str, str]) -> str:
    """`%d.%m.%Y` → `dd'.'MM'.'yyyy`."""
    result = ""
    for number, part in enumerate(re.split(r"%(-?[a-zA-Z%])", _text_of(node, "a format"))):
        if number % 2 == 0 or part == "%":
            result += "'" + part.replace("'", "''") + "'" if part else ""
        elif part not in known:
            raise NotInSpark(f"`%{part}` in a format", f"use {' '.join('%' + letter for letter in known)}")
        else:
            result += known[part]
    return re.sub(r"(?<!')''(?!')", "", result)  # two texts beside each other are one


def _formatted(self: SparkWords, node: exp.TimeToStr) -> str:
    return f"date_format({self.sql(node.this)}, {self.literal(_format(node.args['format'], _STRFTIME))})"


def _read_moment(name: str) -> Said:
    def said(self: SparkWords, node: exp.Expr) -> str:
        text, pattern = arguments(node)[:2]
        if re.search(r"%[a-zA-Z]%", _text_of(pattern, "a format")):
            raise NotInSpark("a format whose numbers follow each other", "split the text with substring, and make_date")
        return f"CAST({name}({self.sql(text)}, {self.literal(_format(pattern, _READ))}) AS TIMESTAMP_NTZ)"

    return said


def _named_day(pattern: str) -> Said:
    return lambda self, node: f"date_format({self.sql(arguments(node)[0])}, '{pattern}')"


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _contains_item(self: SparkWords, node: exp.Expr) -> str:
    items, item = node.this, node.args["expression"]
    return _contained(self, items, item)


def _contained(self: SparkWords, items: exp.Expr, item: exp.Expr) -> str:
    """Spark's answer is NULL where the list has a NULL and not the item."""
    found = f"coalesce(array_contains({self.sql(items)}, {self.sql(item)}), FALSE)"
    return f"CASE WHEN {self.sql(items)} IS NOT NULL AND {self.sql(item)} IS NOT NULL THEN {found} END"


def _item(self: SparkWords, node: exp.Anonymous) -> str:
    items, position = node.expressions
    if not typed(items, "an element").endswith("[]"):
        raise NotInSpark(f"an element of a {kind(items)}", "use substring for texts")
    return dialect.element(self.sql(items), self.sql(position))


def _sorted(self: SparkWords, node: exp.ArraySort) -> str:
    if node.args.get("asc") is not None:
        raise NotInSpark("list_sort with an order", "use list_sort(list) and list_reverse")
    return f"array_sort({self.sql(node.this)})"


def _appended(self: SparkWords, node: exp.ArrayAppend) -> str:
    items, item = self.sql(node.this), self.sql(node.expression)
    return f"CASE WHEN {items} IS NULL THEN array({item}) ELSE array_append({items}, {item}) END"


def _lambda(name: str) -> Said:
    def said(self: SparkWords, node: exp.Expr) -> str:
        return f"{name}({self.sql(node.this)}, {self.sql(node.expression)})"

    return said


def _lambda_of(self: SparkWords, node: exp.Lambda) -> str:
    names = [self.sql(name) for name in node.expressions]
    return f"{names[0] if len(names) == 1 else '(' + ', '.join(names) + ')'} -> {self.sql(node.this)}"


def _list_text(self: SparkWords, node: exp.ArrayToString) -> str:
    of = typed(node.this, "array_to_string")
    if of != "VARCHAR[]":
        raise NotInSpark(f"array_to_string of {of}", "cast the list's items to text first")
    items = self.sql(node.this)
    nothing = f"size({items}) > 0 AND forall({items}, item -> item IS NULL)"
    return f"CASE WHEN NOT ({nothing}) THEN array_join({items}, {self.sql(node.expression)}) END"


def _field_of(self: SparkWords, node: exp.StructExtract) -> str:
    return f"{self.wrapped(node.this)}.{self.sql(exp.to_identifier(_text_of(node.expression, 'a field'), quoted=True))}"


SAME: Sequence[type[exp.Expr]] = (
    exp.And, exp.Or, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Exists,
    exp.Abs, exp.Sign, exp.Sqrt, exp.Cbrt, exp.Exp, exp.Pi, exp.Lower, exp.Upper, exp.Reverse, exp.Replace,
    exp.Ascii, exp.Repeat, exp.MD5, exp.CurrentDate, exp.CurrentTimestamp, exp.DateFromParts,
    exp.Count, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop,
    exp.CovarPop, exp.CovarSamp, exp.LogicalAnd, exp.LogicalOr, exp.BitwiseAndAgg, exp.BitwiseOrAgg,
    exp.BitwiseXorAgg, exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag,
    exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue, exp.MapKeys, exp.GenerateSeries,
)  # fmt: skip
"""What sqlglot already writes as it should be."""

FUNCTIONS: dict[type[exp.Expr], Said] = {
    exp.Floor: _whole("floor"),
    exp.Ceil: _whole("ceil"),
    exp.Round: _rounded,
    exp.Trunc: _truncated,
    exp.Ln: lambda self, node: _logarithm(self, node.this, "ln"),
    exp.Log: _log,
    exp.Pow: _of_double("power"),
    exp.Sin: _of_double("sin"),
    exp.Cos: _of_double("cos"),
    exp.Tan: _of_double("tan"),
    exp.Atan: _of_double("atan"),
    exp.Atan2: _of_double("atan2"),
    exp.Degrees: _of_double("degrees"),
    exp.Radians: _of_double("radians"),
    exp.IsNan: _is_nan,
    exp.IsInf: _infinite,
    exp.Length: _length,
    exp.ArraySize: _call("size"),
    exp.Concat: _joined,
    exp.ConcatWs: _joined_with,
    exp.Substring: _substring,
    exp.Left: _left,
    exp.Right: _right,
    exp.SplitPart: _part,
    exp.Split: _split,
    exp.RegexpSplit: _split_at_pattern,
    exp.StartsWith: _starts("startswith"),
    exp.EndsWith: _starts("endswith"),
    exp.Contains: _starts("contains"),
    exp.StrPosition: _position,
    exp.RegexpLike: _matches,
    exp.RegexpFullMatch: _fully_matches,
    exp.SimilarTo: _fully_matches,
    exp.RegexpReplace: _replaced,
    exp.RegexpExtract: _extracted("regexp_extract"),
    exp.RegexpExtractAll: _extracted("regexp_extract_all"),
    exp.Trim: _trimmed,
    exp.Pad: _padded,
    exp.Translate: lambda self, node: (
        f"translate({self.sql(node.this)}, {self.sql(node.args['from_'])}, {self.sql(node.args['to'])})"
    ),
    exp.SHA: _call("sha1"),
    exp.SHA2: _call("sha2"),
    exp.JSONExtractScalar: _json_text,
    exp.TimestampTrunc: _truncated_moment,
    exp.DateTrunc: _truncated_moment,
    exp.DateDiff: _difference,
    exp.Extract: _extract,
    exp.Year: _field("year"),
    exp.Quarter: _field("quarter"),
    exp.Month: _field("month"),
    exp.Day: _field("day"),
    exp.DayOfMonth: _field("day"),
    exp.DayOfYear: _field("dayofyear"),
    exp.DayOfWeek: _field("dow"),
    exp.DayOfWeekIso: _field("isodow"),
    exp.Week: _field("week"),
    exp.WeekOfYear: _field("week"),
    exp.Hour: _field("hour"),
    exp.Minute: _field("minute"),
    exp.Second: _field("second"),
    exp.Dayname: _named_day("EEEE"),
    exp.Monthname: _named_day("MMMM"),
    exp.LastDay: lambda self, node: f"last_day(CAST({self.sql(node.this)} AS DATE))",
    exp.TimeToUnix: _field("epoch"),
    exp.UnixToTime: _from_epoch,
    exp.TimeToStr: _formatted,
    exp.StrToTime: _read_moment("to_timestamp"),
    exp.TimestampFromParts: _call("make_timestamp_ntz"),
    exp.ArrayContains: _contains_item,
    exp.ArraySort: _sorted,
    exp.ArrayMax: _call("array_max"),
    exp.ArrayMin: _call("array_min"),
    exp.ArrayToString: _list_text,
    exp.ArrayAppend: _appended,
    exp.Transform: _lambda("transform"),
    exp.ArrayFilter: _lambda("filter"),
    exp.StructExtract: _field_of,
    exp.Lambda: _lambda_of,
    exp.ToDays: _interval_alone,
    exp.BitwiseXor: lambda self, node: " ^ ".join(self.both(node)),
}

BY_NAME: dict[str, Said] = {
    "list_extract": _item,
    "array_extract": _item,
    "list_element": _item,
    "list_reverse": _call("reverse"),
    "array_reverse": _call("reverse"),
    "list_value": _call("array"),
    "date_part": _date_part,
    "datepart": _date_part,
    "yearweek": _field("yearweek"),
    "isoyear": _field("isoyear"),
    "weekday": _field("weekday"),
    "prefix": _starts("startswith"),
    "suffix": _starts("endswith"),
    "isfinite": _finite,
    "try_strptime": _read_moment("try_to_timestamp"),
    "regexp_split_to_array": _split_at_pattern,
    "map_values": _call("map_values"),
    "ord": _code,
    "unicode": _code,
    **dict.fromkeys(("to_years", "to_months", "to_weeks", "to_hours", "to_minutes", "to_seconds"), _interval_alone),
}


_KNOWN = frozenset((*SAME, *OPERATORS, *FUNCTIONS))


def refused(node: exp.Expr) -> str | None:
    """The name of a function that Spark has no words for."""
    if not isinstance(node, exp.Func) or isinstance(node, exp.Table) or type(node) in _KNOWN:
        return None
    if isinstance(node, exp.Anonymous):
        return None if node.name.lower() in BY_NAME else node.name.lower()
    rendered = node.sql(dialect="duckdb", comments=False).partition("(")[0].strip().lower()
    return rendered if rendered.replace("_", "").isalnum() else type(node).__name__.lower()
