"""Expressions that mean the same on DuckDB and on Spark, over a table of values that the two treat differently."""

# ruff: noqa: E501

from __future__ import annotations

VALUES = """
SELECT * FROM (VALUES
  (1, 10::BIGINT, 3::INTEGER, 2.5::DOUBLE, 0.1::DOUBLE, 10.50::DECIMAL(12,2), 1.0050::DECIMAL(18,4), 'abc', '5', true,
   DATE '2024-01-31', TIMESTAMP '2024-01-31 23:59:59.5', TIMESTAMPTZ '2024-01-31 23:59:59.5+00', [3, 1, 2],
   ['a', 'b'], {'a': 1, 'b': 'x'}, '{"a": {"b": [1, "z"]}, "n": 1.5}'),
  (2, -7, 2, -2.5, 1e20, -0.05, -2.5, 'Añ😀 é', ' -12 ', false, DATE '2024-02-29', TIMESTAMP '2024-02-29 00:00:00',
   TIMESTAMPTZ '2024-02-29 12:30:00.123456+00', [], [], {'a': -1, 'b': NULL}, '{"a": null, "s": "tä\\"x"}'),
  (3, 0, 1, 0.0, -0.5, 0.00, 2.5000, '', '3.7', NULL, DATE '1970-01-01', TIMESTAMP '1970-01-01 00:00:00',
   TIMESTAMPTZ '1969-12-31 23:59:59+00', [NULL, 5], [NULL], {'a': NULL, 'b': ''}, '[]'),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (5, 9007199254740993, -3, 'nan', 1.5, 9999999999.99, 99999999999999.9999, '  pad ', '1e3', true, DATE '2000-12-31',
   TIMESTAMP '2000-12-31 12:00:00.000001', TIMESTAMPTZ '2000-12-31 12:00:00+05', [9007199254740993],
   ['x,y', ''], {'a': 7, 'b': 'é'}, '{"a": {"b": []}}'),
  (6, -1, 7, 'inf', -1.5, 0.01, -0.0001, 'a-b-c-', 'nan', false, DATE '1999-01-03', TIMESTAMP '1999-01-03 06:07:08',
   TIMESTAMPTZ '2024-06-30 00:00:00-08', [1, 1], ['b', 'a', NULL], {'a': 0, 'b': 'B'}, NULL),
  (7, 100, 4, '-inf', 3.0, -1.10, 0.5000, 'x_y%z\\w', 'abc', true, DATE '2021-03-28', TIMESTAMP '2021-03-28 02:30:00',
   TIMESTAMPTZ '2021-03-28 01:30:00+00', [0], ['é'], {'a': 1, 'b': 'x'}, '"text"'),
  (8, 5, 10, 1e-5, 1234567.891, 123.45, 0.0049, E'line\\nbreak', '2024-02-30', false, DATE '0999-05-05',
   TIMESTAMP '1582-10-10 00:00:00', TIMESTAMPTZ '1900-01-01 00:00:00+00', [4, NULL, 4], ['a'], {'a': 2, 'b': 'y'}, '1'),
  (9, 3, 5, 1005.0, 2.675, 2.68, 1.4999, 'AbC', 'true', true, DATE '2024-12-30', TIMESTAMP '2024-12-30 10:11:12',
   TIMESTAMPTZ '2024-12-30 10:11:12+00', [2], ['c', 'd'], {'a': 3, 'b': 'z'}, '{"a": 1}')
) t(id, i, j, x, y, d, e, t, u, b, day, ts, tz, l, w, s, js)
"""

CONDITIONS = [
    "i > 0", "x > 1", "x = x", "d = 10.5", "t like '%a%'", "t ilike 'ABC'", "t like 'x\\_y%'", "t not like '%-%'",
    "t like '%\\w'", "t like 'x^_%' escape '^'", "day >= '2000-01-01'", "ts < '2024-01-31'", "i in (10, -7, null)",
    "i between 0 and 10", "b", "not b", "b is not true", "i is distinct from 10", "x is null", "t = 'abc' or i = 0",
    "isnan(x)", "coalesce(x, 0) > y", "t > 'a'", "l = [3, 1, 2]", "s.a = 1", "tz > ts", "day = ts", "d > x",
]  # fmt: skip
"""Of rows, for `filter`."""

NUMBERS = [
    "i + j", "i - j", "i * 3", "-i", "i / j", "i / nullif(j, 3)", "i / (j - j)", "i / 2", "x / y", "x / 0", "d / j", "i // j", "x // 2.0::double", "i % j",
    "x % 2.0::double", "x % 0.0::double", "mod(i, j)", "d + e", "d * 2", "d - 1", "d % 3", "i + d", "d + x",
    "abs(i)", "abs(x)", "abs(d)", "sign(i)", "sign(d)", "floor(x)", "ceil(x)", "floor(d)", "ceil(e)", "floor(i)",
    "round(x)", "round(x, 2)", "round(y, 2)", "round(y, -2)", "round(d, 1)", "round(e)", "round(e, 2)", "round(i, -1)",
    "trunc(x)", "trunc(d)", "trunc(i)", "sqrt(abs(y))", "sqrt(y)", "exp(j)", "ln(x)", "ln(i)", "log(i)", "log10(x)",
    "log2(j)", "power(j, 2)", "j ** 2", "pow(y, 0.5)", "cbrt(y)", "sin(y)", "cos(y)", "atan(x)", "atan2(y, x)",
    "degrees(y)", "radians(y)", "pi()", "greatest(i, j, 3)", "least(i, null, 3)", "isnan(x)", "isinf(x)", "isfinite(x)",
    "i & 3", "i | 4", "~j", "xor(j, 1)", "nullif(i, 10)", "coalesce(i, j, 0)", "ifnull(x, 0)",
    "case when i > 0 then 'p' when i < 0 then 'n' end", "if(b, i, j)", "i + 0.5", "i * 1e2", "x + i", "1 / 3",
    "99999999999999 * 10", "0.1 + 0.2", "i is null", "i > j", "x = y", "b and i > 0", "b or null",
]  # fmt: skip

TEXTS = [
    "length(t)", "len(t)", "upper(t)", "lower(t)", "reverse(t)", "trim(t)", "ltrim(t)", "rtrim(t)", "trim(t, ' pa')",
    "concat(t, i, null, 1)", "concat(t, x)", "concat(d, '/', day)", "t || '!'", "t || i", "concat_ws('-', t, i, null, b)",
    "replace(t, 'a', 'xx')", "translate(t, 'abc', 'x')", "repeat(t, 2)", "lpad(t, 6, '*')", "rpad(t, 2, '*')",
    "substring(t, 2, 3)", "substring(t, 2)", "substr(t, -3, 2)", "substring(t, 0, 3)", "substring(t, -20, 19)",
    "substring(t, j, 2)", "left(t, 2)", "left(t, -2)", "right(t, 2)", "right(t, -2)", "left(t, j)",
    "strpos(t, 'b')", "position('-' in t)", "instr(t, '')", "starts_with(t, 'a')", "ends_with(t, ' ')",
    "contains(t, 'a')", "prefix(t, 'A')", "suffix(t, 'c-')", "split_part(t, '-', 2)", "split_part(t, '-', -1)",
    "split_part(t, '-', 9)", "string_split(t, '-')", "string_split(t, '.')", "string_split(t, '|')", "ascii(t)",
    "ord(t)", "md5(t)", "sha256(t)", "t::varchar", "i::varchar", "x::varchar", "y::varchar", "d::varchar", "b::varchar",
    "day::varchar", "ts::varchar", "tz::varchar", "array_to_string(w, ',')", "js ->> '$.a.b'",
    "json_extract_string(js, '$.n')", "json_extract_string(js, '$.a.b[1]')", "json_extract_string(js, '$.s')",
]  # fmt: skip

PATTERNS = [
    "regexp_matches(t, 'b')", "regexp_matches(t, '^a')", "regexp_matches(t, 'c$')", "regexp_matches(t, 'ABC', 'i')",
    "regexp_matches(t, 'e.b')", "regexp_matches(t, 'e.b', 's')", "regexp_matches(t, '^b', 'm')",
    "regexp_matches(t, '[[:upper:]]')", "regexp_matches(t, '[^[:alpha:]]')", "regexp_matches(t, '\\bb\\b')",
    "regexp_matches(t, '[a&&b]')", "regexp_matches(t, '[[a]')", "regexp_matches(t, '\\s')", "regexp_matches(t, '\\w+\\W')",
    "regexp_full_match(t, 'a.*')", "regexp_full_match(t, 'a|abc')", "t similar to 'a.c'",
    "regexp_replace(t, '[ab]', '<\\0>')", "regexp_replace(t, '([a-z])([a-z])', '\\2\\1', 'g')",
    "regexp_replace(t, '-', '$', 'g')", "regexp_replace(t, '([a-z])-', '\\1$1')", "regexp_replace(t, 'A', 'x', 'gi')",
    "regexp_extract(t, '[a-z]+')", "regexp_extract(t, '([a-z])-([a-z])', 2)", "regexp_extract_all(t, '[a-z]')",
    "regexp_split_to_array(t, '[-_]')", "regexp_extract(t, '(?P<name>b)-', 1)", "regexp_matches(t, '\\p{L}{3}')", "regexp_matches(t, '\\p{Latin}\\p{Lu}')",
    "regexp_matches(t, 'a{1,2}')", "regexp_matches(t, 'x{')", "regexp_matches(t, '(?i)añ')",
]  # fmt: skip

MOMENTS = [
    "day + 1", "1 + day", "day - 3", "day - date '2000-01-01'", "day + interval 1 month", "day - interval 2 day",
    "ts + interval 1 hour", "ts - interval '90' minute", "tz + interval 1 week", "ts + to_days(j)", "day + to_months(j)",
    "ts + interval (j) second", "date_trunc('month', day)", "date_trunc('week', ts)", "date_trunc('quarter', ts)",
    "date_trunc('hour', tz)", "date_trunc('year', day)", "date_trunc('minute', ts)", "year(day)", "quarter(ts)",
    "month(tz)", "day(day)", "dayofmonth(ts)", "dayofyear(day)", "dayofweek(day)", "isodow(day)", "weekday(ts)",
    "week(day)", "weekofyear(day)", "isoyear(day)", "yearweek(day)", "hour(ts)", "minute(ts)", "second(ts)", "hour(tz)",
    "extract(year from ts)", "extract(dow from day)", "extract(epoch from ts)", "date_part('month', ts)", "epoch(ts)",
    "epoch_ms(ts)", "epoch_ms(i)", "to_timestamp(j)", "dayname(day)", "monthname(day)", "last_day(day)",
    "date_diff('day', day, ts)", "date_diff('month', day, date '2024-03-01')", "date_diff('year', ts, tz)",
    "date_diff('quarter', day, ts)", "date_diff('week', day, date '2024-03-01')", "date_diff('week', ts, timestamp '2024-03-01 12:00:00')", "datediff('hour', day, ts)",
    "datediff('minute', ts, tz)", "date_diff('second', ts, tz)", "strftime(ts, '%Y-%m-%d %H:%M:%S')",
    "strftime(day, '%d.%m.%y, %A %B')", "strftime(ts, '%I:%M %p %j')", "strftime(ts, '%-d/%-m ts %%')",
    "strptime('05.03.2024 1:02', '%d.%m.%Y %H:%M')", "try_strptime(u, '%Y-%m-%d')", "make_date(2024, abs(j) + 1, 1)",
    "make_timestamp(2024, 2, 3, 4, 5, 6.5)", "ts::date", "day::timestamp", "tz::date", "tz::timestamp",
    "ts::timestamptz", "day < ts", "greatest(day, date '2000-01-01')", "current_date > day",
]  # fmt: skip

CASTS = [
    "i::double", "i::integer", "x::integer", "y::bigint", "d::integer", "e::bigint", "i::decimal(20,2)", "y::decimal(12,3)",
    "d::decimal(12,1)", "e::decimal(20,3)", "b::integer", "i::boolean", "u::bigint", "u::integer", "u::double", "u::float",
    "u::decimal(8,1)", "u::boolean", "u::date", "u::timestamp", "u::timestamptz", "t::bigint", "x::float", "d::double",
    "y::float::varchar", "'2024-1-5'::date", "'2024/01/05'::date", "'2024-01-05T10:11:12.1234567'::timestamp",
    "'2024-01-05 10:11:12+02'::timestamptz", "'2024-01-05 10:11'::timestamp", "' 7 '::integer", "'+7.5'::integer",
    "'2.5'::integer", "'-2.5'::integer", "'.5'::double", "'5.'::double", "'Infinity'::double", "'1d'::double",
    "'0x1A'::double", "'yes'::boolean", "' true'::boolean", "'12345.678'::decimal(8,2)", "'1e2'::decimal(8,2)", "null::integer",
]  # fmt: skip
"""As `try_cast`, where they are from text."""

NESTED = [
    "l[1]", "l[-1]", "l[5]", "list_extract(l, j)", "len(l)", "array_length(l)", "list_contains(l, 1)", "list_sort(l)",
    "list_reverse(w)", "list_max(l)", "list_min(l)", "list_transform(l, v -> v + 1)", "list_filter(l, v -> v > 1)",
    "list_append(l, 9)", "[i, j]", "[t, 'x']", "{'k': i, 'v': t}", "struct_pack(k := i)", "s.a", "s.b", "s['a']",
    "struct_extract(s, 'b')", "l", "w", "s", "list_contains(w, 'a')", "contains(w, 'b')",
    "[i, null]", "list_value(i, j)", "{'k': [i]}", "w || ['z']",
]  # fmt: skip

AGGREGATES = [
    "count(*)", "count(x)", "count(distinct j)", "sum(i)", "sum(j)", "sum(d)", "sum(y)", "sum(b::integer)", "avg(i)",
    "avg(d)", "avg(y)", "mean(j)", "min(i)", "max(t)", "min(day)", "max(ts)", "max(x)", "min(x)", "min(b)", "median(j)",
    "median(y)", "median(d)", "quantile_cont(y, 0.3)", "quantile_cont(d, 0.25)", "quantile_disc(j, 0.3)", "stddev(y)",
    "stddev_pop(j)", "var_samp(y)", "var_pop(y)", "variance(j)", "corr(j, y)", "covar_pop(j, y)", "covar_samp(j, y)",
    "bool_and(b)", "bool_or(b)", "bit_and(j)", "bit_or(j)", "bit_xor(j)", "count_if(j > 2)", "first(i)", "last(i)",
    "first(t)", "any_value(i)", "arg_max(t, j)", "arg_min(t, y)", "max_by(i, t)", "list(i)", "list(t)",
    "string_agg(t, '|')", "count(*) filter (where j > 2)", "sum(i) filter (where b)", "list(i) filter (where j > 2)",
    "first(i) filter (where j > 2)", "string_agg(t, ',') filter (where b)", "count(distinct j) filter (where b)",
    "sum(i) / count(*)", "round(avg(y), 2)", "sum(i) + sum(j)", "max(i) - min(i)", "sum(distinct j)",
    "any_value(t) filter (where not b)", "arg_max(i, j) filter (where b)", "list(d)", "list(s)", "count(distinct t)",
]  # fmt: skip

WINDOWS = [
    "row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile(3)", "lag(i)", "lag(i, 2)",
    "lead(t)", "lead(i, 1, 0)", "first_value(i)", "last_value(i)", "nth_value(i, 2)", "sum(i)", "avg(y)", "count(*)",
    "min(d)", "max(day)", "sum(i) - i", "count(x)", "sum(i) filter (where b)", "lag(i ignore nulls)", "sum(d)",
]  # fmt: skip
