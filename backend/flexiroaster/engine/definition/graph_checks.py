"""Ids and needs: unique, known, without a cycle. Nothing here recurses, so that 10,000 stages in a row are fine."""

from __future__ import annotations

from collections.abc import Sequence

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.stage_view import StageView
from flexiroaster.engine.quoting import quoted, shortened

MAX_CYCLE_SHOWN = 12
_RESERVED = frozenset({"in", "true", "false", "null"})


class Graph:
    """Who comes before whom, within each list of stages."""

    def __init__(self, views: Sequence[StageView]) -> None:
        self.positions: dict[tuple[str, str], int] = {}
        for position, view in enumerate(views):
            self.positions.setdefault((view.group, view.id), position)
        self.views = views
        self.names: dict[str, list[str]] = {}
        for group, id in self.positions:
            self.names.setdefault(group, []).append(id)
        self.needs = [self._known_needs(view) for view in views]
        self.meant: dict[tuple[str, str], str] = {}
        """By group and unknown need: the stage that was probably meant."""
        self._ancestors: list[int] | None = None

    def is_upstream(self, of: StageView, other: str) -> bool:
        """Whether `other` has ended before `of` starts. Handlers come after every stage of the pipeline."""
        if of.group != "stages" and ("stages", other) in self.positions:
            return True
        mine, theirs = self.positions.get((of.group, of.id)), self.positions.get((of.group, other))
        if mine is None or theirs is None:
            return False
        return bool(self.ancestors[mine] >> theirs & 1)

    def meant_needs(self, view: StageView) -> list[str]:
        """Its needs once misspelt ones are mended; those that nobody can guess are left out."""
        mended = [self.meant.get((view.group, need), need) for _, need in view.needs]
        return [need for need in dict.fromkeys(mended) if (view.group, need) in self.positions]

    def is_first(self, view: StageView) -> bool:
        """Whether no earlier stage has its id."""
        return self.views[self.positions[view.group, view.id]] is view

    @property
    def ancestors(self) -> list[int]:
        """Of each stage, a number whose bits are the stages before it: 10,000 in a row take 6 MB."""
        if self._ancestors is None:
            found = [0] * len(self.views)
            for position in self.in_order():
                for need in self.needs[position]:
                    found[position] |= found[need] | 1 << need
            self._ancestors = found
        return self._ancestors

    def in_order(self) -> list[int]:
        """Each stage after those it needs; stages in a cycle or behind one are left out."""
        missing = [len(needs) for needs in self.needs]
        followers: list[list[int]] = [[] for _ in self.views]
        for position, needs in enumerate(self.needs):
            for need in needs:
                followers[need].append(position)
        order = [position for position, count in enumerate(missing) if count == 0]
        for position in order:
            for follower in followers[position]:
                missing[follower] -= 1
                if missing[follower] == 0:
                    order.append(follower)  # the list is the queue
        return order

    def cycle(self) -> list[int] | None:
        """One cycle, as positions in the order in which each needs the next."""
        stuck = set(range(len(self.views))) - set(self.in_order())
        if not stuck:
            return None
        trail: dict[int, None] = {}
        position = min(stuck)
        while position not in trail:
            trail[position] = None
            position = next(need for need in self.needs[position] if need in stuck)
        walked = list(trail)
        return walked[walked.index(position) :]

    def _known_needs(self, view: StageView) -> list[int]:
        known = {self.positions[view.group, need] for _, need in view.needs if (view.group, need) in self.positions}
        known.discard(self.positions[view.group, view.id])
        return sorted(known)


def check_graph(graph: Graph, findings: Findings) -> None:
    _check_ids(graph.views, findings)
    for view in graph.views:
        _check_needs(view, graph, findings)
    cycle = graph.cycle()
    if cycle is not None:
        _report_cycle(cycle, graph, findings)


def _check_ids(views: Sequence[StageView], findings: Findings) -> None:
    first: dict[str, StageView] = {}
    for view in views:
        if view.id in _RESERVED:
            findings.add(
                "invalid_id",
                f"{quoted(view.id)} is a word of the expression language and cannot be a stage id.",
                (*view.path, "id"),
                found=view.id,
                suggestion=f"{view.id}_stage",
            )
        earlier = first.setdefault(view.id, view)
        if earlier is not view:
            line = findings.line((*earlier.path, "id"))
            where = f" in line {line}" if line else f" ({earlier.path[0]}[{earlier.path[1]}])"
            findings.add(
                "duplicate_id",
                f"The stage id {quoted(view.id)} is already taken{where}.",
                (*view.path, "id"),
                found=view.id,
                suggestion=f"{view.id}_2",
            )


def _check_needs(view: StageView, graph: Graph, findings: Findings) -> None:
    seen: set[str] = set()
    for index, need in view.needs:
        path = (*view.path, "needs", index)
        if need == view.id and graph.is_first(view):
            sentence = f"The stage {quoted(view.id)} needs itself: remove it from `needs`."
            findings.add("self_need", sentence, path, found=need)
        elif need in seen:
            findings.add("duplicate_need", f"{quoted(need)} stands twice in `needs`.", path, found=need)
        elif (view.group, need) not in graph.positions:
            meant = findings.closest(need, graph.names[view.group])
            if meant is not None:
                graph.meant[view.group, need] = meant
            hint = f", did you mean {meant!r}?" if meant else "."
            findings.add("unknown_stage", f"There is no stage {quoted(need)}{hint}", path, found=need, suggestion=meant)
        seen.add(need)


def _report_cycle(cycle: list[int], graph: Graph, findings: Findings) -> None:
    names = [shortened(graph.views[position].id) for position in cycle]
    shown = [*names, names[0]] if len(names) <= MAX_CYCLE_SHOWN else [*names[:MAX_CYCLE_SHOWN], "…", names[0]]
    start, following = graph.views[cycle[0]], cycle[1 % len(cycle)]
    index = next((index for index, need in start.needs if need == graph.views[following].id), 0)
    findings.add(
        "cycle",
        f"The stages wait for each other: {' needs '.join(shown)}. Remove one of these needs.",
        (*start.path, "needs", index),
        found=graph.views[following].id,
    )
