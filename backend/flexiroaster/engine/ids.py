"""Identifiers that sort by the time they were made (RFC 9562, UUID version 7)."""

from __future__ import annotations


def time_ordered_id(unix_milliseconds: int, random_bits: int) -> str:
    """`random_bits` are 74 random bits: the caller brings clock and chance."""
    value = (unix_milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= ((random_bits >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random_bits & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
