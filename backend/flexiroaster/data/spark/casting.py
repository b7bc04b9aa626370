"""A value as another type, as DuckDB converts it: which texts are numbers, how numbers are rounded and written."""

from __future__ import annotations

from flexiroaster.data.spark.types import FLOATS, INTEGERS, is_decimal, spark_type

MISFIT = "flexiroaster: could not convert string "
"""What `raise_error` says of a text that does not fit its type."""
_WHOLE = r"^[ \\t-\\r]*[+-]?[0-9]+[ \\t-\\r]*$"
_NUMBER = r"^[ \\t-\\r]*[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?[ \\t-\\r]*$"
_TIME = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?"
_DATE = r"[0-9]{1,4}[-/][0-9]{1,2}[-/][0-9]{1,2}"
_ZONE = r" ?(Z|UTC|[+-][0-9]{1,2}(:?[0-9]{2})?)"
_MOMENT = rf"^ *{_DATE}([ T]{_TIME}({_ZONE})?)? *$"


class CannotCast(Exception):
    """There is no such conversion in Spark, or it gives something else."""


def cast(sql: str, given: str, wanted: str, *, lenient: bool = False) -> str:
    """`lenient` gives NULL for values that do not fit, otherwise the query fails. Raises CannotCast."""
    if given == '"NULL"':
        return f"CAST({sql} AS {spark_type(wanted)})"
    if given == wanted:
        return sql
    if wanted == "VARCHAR":
        return text(sql, given)
    if given == "VARCHAR":
        return _from_text(sql, wanted, lenient=lenient)
    if wanted in INTEGERS and given in FLOATS:
        sql = f"rint({sql})"  # half to even
    elif wanted in INTEGERS and is_decimal(given):
        sql = f"round({sql}, 0)"
    elif not _is_plain(given) or not _is_plain(wanted):
        raise CannotCast
    return _plain(sql, wanted, lenient=lenient)


def _is_plain(type_name: str) -> bool:
    return (
        type_name in INTEGERS
        or type_name in FLOATS
        or is_decimal(type_name)
        or type_name in ("BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
    )


def _plain(sql: str, wanted: str, *, lenient: bool) -> str:
    return f"{'TRY_CAST' if lenient else 'CAST'}({sql} AS {spark_type(wanted)})"


def text(sql: str, given: str) -> str:
    """A value as DuckDB writes it."""
    if given in ("VARCHAR", "JSON", "UUID") or given.startswith("ENUM("):
        return sql
    if given == '"NULL"':
        return f"CAST({sql} AS STRING)"
    if given in FLOATS:
        return _float_text(sql)
    if given == "TIMESTAMP WITH TIME ZONE":
        return f"concat(CAST({sql} AS STRING), '+00')"
    if given in INTEGERS or is_decimal(given) or given in ("BOOLEAN", "DATE", "TIMESTAMP"):
        return f"CAST({sql} AS STRING)"
    raise CannotCast


def _float_text(sql: str) -> str:
    """Java writes 1.0E7 where DuckDB writes 10000000.0, and 1.0E-5 for 1e-05."""
    said = f"CAST({sql} AS STRING)"
    digits = f"regexp_replace(CAST(CAST({said} AS DECIMAL(38, 21)) AS STRING), '0+$', '')"
    mantissa = f"regexp_replace(regexp_extract({said}, '^(-?[0-9.]+)E', 1), '\\\\.0$', '')"
    exponent = f"regexp_extract({said}, 'E-?([0-9]+)$', 1)"
    return (
        f"CASE WHEN isnan({sql}) THEN 'nan' WHEN {sql} IN (DOUBLE('Infinity'), DOUBLE('-Infinity')) "
        f"THEN CASE WHEN {sql} > 0 THEN 'inf' ELSE '-inf' END "
        f"WHEN NOT {said} LIKE '%E%' THEN {said} "
        f"WHEN abs({sql}) >= 1e-4 AND abs({sql}) < 1e16 "
        f"THEN CASE WHEN {digits} LIKE '%.' THEN concat({digits}, '0') ELSE {digits} END "
        f"ELSE concat({mantissa}, 'e', CASE WHEN {said} LIKE '%E-%' THEN '-' ELSE '+' END, lpad({exponent}, "
        f"greatest(length({exponent}), 2), '0')) END"
    )


def _from_text(sql: str, wanted: str, *, lenient: bool) -> str:
    plain = "TRY_CAST" if lenient else "CAST"
    if wanted in INTEGERS:
        kind = spark_type(wanted)
        return _where(
            sql, wanted, lenient,
            (f"{sql} RLIKE '{_WHOLE}'", f"{plain}(trim({sql}) AS {kind})"),
            (f"{sql} RLIKE '{_NUMBER}'", f"{plain}(round({plain}(trim({sql}) AS DECIMAL(38, 12)), 0) AS {kind})"),
        )  # fmt: skip
    if wanted in FLOATS:
        kind = spark_type(wanted)
        named = f"regexp_replace(lower(trim({sql})), '^[+]', '')"
        return _where(
            sql, wanted, lenient,
            (f"{sql} RLIKE '{_NUMBER}'", f"{plain}(trim({sql}) AS {kind})"),
            (f"{named} IN ('nan', '-nan', 'inf', '-inf', 'infinity', '-infinity')",
             f"CAST(regexp_replace({named}, '-nan', 'nan') AS {kind})"),
        )  # fmt: skip
    if is_decimal(wanted):
        return _where(
            sql, wanted, lenient, (f"{sql} RLIKE '{_NUMBER}'", f"{plain}(trim({sql}) AS {spark_type(wanted)})")
        )
    if wanted == "BOOLEAN":
        return _where(
            sql, wanted, lenient,
            (f"lower({sql}) IN ('true', 't', 'yes', 'y', '1')", "TRUE"),
            (f"lower({sql}) IN ('false', 'f', 'no', 'n', '0')", "FALSE"),
        )  # fmt: skip
    if wanted in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return _where(sql, wanted, lenient, (f"{sql} RLIKE '{_MOMENT}'", _moment(sql, wanted, plain)))
    raise CannotCast


def _moment(sql: str, wanted: str, plain: str) -> str:
    dashes = f"regexp_replace(trim({sql}), '^([0-9]+)[-/]([0-9]+)[-/]([0-9]+)', '$1-$2-$3')"
    if wanted == "DATE":
        return f"{plain}(substring_index(substring_index({dashes}, ' ', 1), 'T', 1) AS DATE)"
    if wanted == "TIMESTAMP":
        return f"{plain}(regexp_replace({dashes}, '(:[0-9.]+){_ZONE}$', '$1') AS TIMESTAMP_NTZ)"
    return f"{plain}(regexp_replace({dashes}, '([+-][0-9]{{1,2}})$', '$1:00') AS TIMESTAMP_LTZ)"


def _where(sql: str, wanted: str, lenient: bool, *cases: tuple[str, str]) -> str:
    told = f"raise_error(concat('{MISFIT}''', {sql}, ''' to {wanted}'))"
    otherwise = "NULL" if lenient else f"CASE WHEN {sql} IS NOT NULL THEN CAST({told} AS {spark_type(wanted)}) END"
    chosen = " ".join(f"WHEN {condition} THEN {value}" for condition, value in cases)
    return f"CASE {chosen} ELSE {otherwise} END"
