"""Work that grows out of hand takes minutes. How long it takes otherwise is for the benchmarks to say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 30.0
"""Of the processor, in this thread: hundreds of times what is needed, however busy the machine is."""


@contextmanager
def bounded() -> Iterator[None]:
    began = time.thread_time()
    yield
    assert time.thread_time() - began < SECONDS
