"""Many threads that want the same thing done: one of them does it for all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar


class Waiter:
    """Who waits for a turn. `turn` is held until it is settled or is to lead; None for who leads from the start."""

    __slots__ = ("error", "leads", "settled", "turn")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.settled = self.leads = False
        self.turn: threading.Lock | None = None

    def settle(self) -> None:
        self.settled = True
        if self.turn is not None:
            self.turn.release()


W = TypeVar("W", bound=Waiter)


class Crowd(Generic[W]):
    """Does something for many at once, without a thread of its own.

    Whoever comes first leads, and does it for all that wait; then the first of those that came meanwhile leads. One
    alone pays no thread hop, a crowd pays a fraction of the work each and is woken once.
    """

    def __init__(
        self, work: Callable[[list[W]], Iterable[W]], most: int, broken_off: Callable[[BaseException], Exception]
    ) -> None:
        """`work` answers for whom it is done; the others are settled by one of these. `broken_off` makes the error that
        all but the leader get where `work` raises.
        """
        self._work = work
        self._most = most
        self._broken_off = broken_off
        self._queueing = threading.Lock()
        self._waiting: deque[W] = deque()
        self._led = False

    def join(self, waiter: W) -> None:
        """Returns when the work is done for it."""
        with self._queueing:
            alone = not self._led
            if alone:
                self._led = True
            else:
                waiter.turn = threading.Lock()
                waiter.turn.acquire()
                self._waiting.append(waiter)
        if alone:
            self._lead([waiter])
        else:
            self._wait(waiter)
        if waiter.error is not None:
            raise waiter.error

    def _wait(self, waiter: W) -> None:
        """For another one to do the work, or for the turn to lead those that came meanwhile."""
        assert waiter.turn is not None
        try:
            waiter.turn.acquire()
        except BaseException:  # Ctrl-C
            self._withdraw(waiter)
            raise
        if waiter.settled:
            return
        group: list[W] = []
        with self._queueing:
            while self._waiting and len(group) < self._most:
                group.append(self._waiting.popleft())
        self._lead(group)

    def _lead(self, group: list[W]) -> None:
        """Work for the group, the caller being its first, then let the next lead."""
        done: Iterable[W] = group
        try:
            done = self._work(group)
        except BaseException as error:
            for waiter in group[1:]:
                waiter.error = waiter.error or self._broken_off(error)
            raise
        finally:
            for waiter in done:
                waiter.settle()
            with self._queueing:
                self._hand_over()

    def _hand_over(self) -> None:
        following = self._waiting[0] if self._waiting else None
        self._led = following is not None
        if following is not None and following.turn is not None:
            following.leads = True
            following.turn.release()

    def _withdraw(self, waiter: W) -> None:
        """It has gone before it was settled, perhaps when it was to lead."""
        with self._queueing:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                if waiter.leads:
                    self._hand_over()
