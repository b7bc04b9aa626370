from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.ai import ModelRecord, Registry, load, save
from flexiroaster.ai.prediction.duration import WIDTH, TrainedDurations
from flexiroaster.ai.prediction.features import NAMES
from flexiroaster.ai.prediction.models import Calibration, Linear, Model, Node, Trees
from flexiroaster.ai.prediction.training import Trained
from flexiroaster.ai.registry import FORMAT, ModelRefused

KEY = b"k" * 32
CARD = {"runs": 7, "baselines": {key: {"brier": 0.1} for key in ("prior", "logistic", "trees")}}
FAILURES, DURATIONS = "stages-failures", "stages-durations"
LEAF: Node = (-1, 0.25, 0, 0, False)
TREE = ((0, 0.5, 1, 2, True), LEAF, (-1, -1.5, 0, 0, False))

finite = st.floats(-1e6, 1e6)
values = st.lists(st.one_of(finite, st.just(math.nan)), min_size=len(NAMES), max_size=len(NAMES))


def trees(width: int = len(NAMES)) -> Trees:
    return Trees((0.0,) * width, 0.1, (TREE, (LEAF,)))


def linear(width: int = len(NAMES)) -> Linear:
    return Linear((0.0,) * width, (0.5,) * width, (2.0,) * width, (0.25,) * width, -3.0)


def failures(model: Model | None = None, calibration: Calibration | None = None) -> Trained:
    models = {"logistic": (linear(), Calibration()), "trees": (model or trees(), calibration or Calibration())}
    return Trained(NAMES, "trees", models, CARD)


def durations() -> TrainedDurations:
    residuals = {"p\0s": [(0.1, 0.5), (-0.2, 0.3)]}
    return TrainedDurations(
        WIDTH, trees(WIDTH), trees(WIDTH), residuals, {"": {"weight": 2.0, "executions": 1.0, "line": 0.5}}, {}
    )


def record(kind: str = FAILURES, trained_at: float = 1.0, body: dict[str, Any] | None = None) -> ModelRecord:
    model = failures() if kind.endswith("failures") else durations()
    return ModelRecord.of(kind, NAMES, trained_at, model.to_document() if body is None else body)


@st.composite
def grown(draw: st.DrawFn) -> Trees:
    """Trees of any shape: every node's children lie behind it."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        nodes: list[Node] = []
        count = 2 * draw(st.integers(0, 6)) + 1
        for index in range(count):
            if count - index < 3 or draw(st.booleans()):
                nodes.append((-1, draw(finite), 0, 0, False))
                continue
            low, high = draw(st.integers(index + 1, count - 1)), draw(st.integers(index + 1, count - 1))
            feature = draw(st.integers(0, len(NAMES) - 1))
            nodes.append((feature, draw(finite), low, high, draw(st.booleans())))
        found.append(tuple(nodes))
    return Trees((0.0,) * len(NAMES), draw(finite), tuple(found))


@st.composite
def curves(draw: st.DrawFn) -> Calibration:
    points = sorted(draw(st.lists(st.tuples(finite, finite), max_size=5)))
    return Calibration(draw(finite), draw(finite), tuple(points))


@settings(deadline=None)
@given(model=grown(), calibration=curves(), run=values)
def test_a_loaded_model_answers_exactly_as_the_saved_one(
    tmp_path_factory: pytest.TempPathFactory, model: Trees, calibration: Calibration, run: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("models")
    trained = failures(model, calibration)
    entry = save(ModelRecord.of(FAILURES, NAMES, 5.0, trained.to_document()), folder, KEY)
    loaded = load(entry, folder, KEY).model
    assert loaded == trained
    assert isinstance(loaded, Trained)
    for candidate in ("prior", "logistic", "trees"):
        mine, theirs = trained.probability(candidate, run), loaded.probability(candidate, run)
        assert mine == theirs or (math.isnan(mine) and math.isnan(theirs))


def test_a_model_of_durations_comes_back_as_it_was(tmp_path: Path) -> None:
    entry = save(record(DURATIONS), tmp_path, KEY)
    assert load(entry, tmp_path, KEY).model == durations()


def test_saving_twice_leaves_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    first, second = save(record(), folder, KEY), save(record(), folder, KEY)
    assert first == second
    assert [path.name for path in folder.iterdir()] == [first.file]
    assert first.size == (folder / first.file).stat().st_size
    assert (first.card, first.kind, first.schema) == (CARD, FAILURES, record().schema)


@pytest.mark.parametrize("data", [b"", b"{}", b"not json\n", b"flexiroaster-model 1\n{}", b"pickle 1 ab\n{}"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelRefused, match="holds no model"):
        ModelRecord.from_file(data, KEY)


@settings(deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_file_with_any_bit_turned_is_refused(place: int, bit: int) -> None:
    data = bytearray(record().to_file(KEY))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(ModelRefused):
        ModelRecord.from_file(bytes(data), KEY)


def test_a_file_of_another_server_is_refused() -> None:
    with pytest.raises(ModelRefused, match="signature does not fit"):
        ModelRecord.from_file(record().to_file(KEY), b"x" * 32)
    with pytest.raises(ModelRefused, match="at least 32"):
        record().to_file(b"short")


def test_a_file_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.ai.registry.FORMAT", FORMAT + 1)
    newer = record().to_file(KEY)
    monkeypatch.undo()
    with pytest.raises(ModelRefused, match="has format '2', this version reads 1"):
        ModelRecord.from_file(newer, KEY)


def tree_of(body: dict[str, Any]) -> list[Any]:
    columns: list[Any] = body["models"]["trees"]["model"]["trees"][0]
    return columns


def feature_too_far(body: dict[str, Any]) -> None:
    tree_of(body)[0][0] = len(NAMES)


def feature_of_half(body: dict[str, Any]) -> None:
    tree_of(body)[0][0] = 0.5


def points_backwards(body: dict[str, Any]) -> None:
    tree_of(body)[2][0] = 0


def column_too_short(body: dict[str, Any]) -> None:
    tree_of(body)[1].pop()


def no_columns(body: dict[str, Any]) -> None:
    tree_of(body).clear()


def weight_too_few(body: dict[str, Any]) -> None:
    body["models"]["logistic"]["model"]["weights"].pop()


def scale_of_zero(body: dict[str, Any]) -> None:
    body["models"]["logistic"]["model"]["scales"][0] = 0.0


def text_for_a_number(body: dict[str, Any]) -> None:
    body["models"]["trees"]["model"]["start"] = "0.5"


def falling_calibration(body: dict[str, Any]) -> None:
    body["models"]["trees"]["calibration"]["points"] = [[1.0, 0.0], [0.0, 1.0]]


def unknown_form(body: dict[str, Any]) -> None:
    body["models"]["trees"]["model"]["form"] = "network"


def unknown_champion(body: dict[str, Any]) -> None:
    body["champion"] = "oracle"


def nothing_measured(body: dict[str, Any]) -> None:
    body["card"]["baselines"].pop("trees")


def features_missing(body: dict[str, Any]) -> None:
    del body["names"]


def other_names(body: dict[str, Any]) -> None:
    body["names"] = [*body["names"][1:], "another"]


def no_mapping(body: dict[str, Any]) -> None:
    body["models"] = []


@pytest.mark.parametrize(
    "spoil",
    [
        feature_too_far,
        feature_of_half,
        points_backwards,
        column_too_short,
        no_columns,
        weight_too_few,
        scale_of_zero,
        text_for_a_number,
        falling_calibration,
        unknown_form,
        unknown_champion,
        nothing_measured,
        features_missing,
        other_names,
        no_mapping,
    ],
)
def test_a_signed_file_of_another_shape_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads(json.dumps(failures().to_document()))
    spoil(body)
    with pytest.raises(ModelRefused, match="train"):
        ModelRecord.from_file(record(body=body).to_file(KEY), KEY)


@pytest.mark.parametrize(
    ("path", "value"),
    [(("width",), 3), (("errors", ""), {}), (("residuals", "p\0s"), [[0.1, 0.0]]), (("middle", "form"), "linear")],
)
def test_durations_of_another_shape_are_refused(path: tuple[str, ...], value: Any) -> None:
    body = copy.deepcopy(durations().to_document())
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ModelRefused, match="train"):
        ModelRecord.from_file(record(DURATIONS, body=body).to_file(KEY), KEY)


def test_a_model_for_other_features_or_of_another_kind_is_refused() -> None:
    names = ("another", *NAMES[1:])
    body = replace(failures(), names=names).to_document()
    with pytest.raises(ModelRefused, match="other features"):
        ModelRecord.from_file(ModelRecord.of(FAILURES, names, 1.0, body).to_file(KEY), KEY)
    with pytest.raises(ModelRefused, match="model of 'stages-dreams'"):
        ModelRecord.from_file(record("stages-dreams").to_file(KEY), KEY)


def test_a_file_under_the_name_of_another_model_is_refused(tmp_path: Path) -> None:
    older, newer = save(record(trained_at=1.0), tmp_path, KEY), save(record(trained_at=2.0), tmp_path, KEY)
    (tmp_path / older.file).replace(tmp_path / newer.file)
    with pytest.raises(ModelRefused, match=f"holds the model {older.id}"):
        load(newer, tmp_path, KEY)
    with pytest.raises(ModelRefused, match="cannot be read"):
        load(older, tmp_path, KEY)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a-b-000000000000"])
def test_an_entry_names_no_file_elsewhere(tmp_path: Path, name: str) -> None:
    entry = save(record(), tmp_path, KEY)
    with pytest.raises(ModelRefused):
        load(replace(entry, id=name, file=f"{name}.model"), tmp_path, KEY)
    with pytest.raises(ModelRefused, match="no name of a model's file"):
        load(replace(entry, file=name), tmp_path, KEY)


def test_a_new_champion_retires_the_old_one_and_can_be_rolled_back() -> None:
    registry = Registry()
    first, second = record(trained_at=1.0), record(trained_at=2.0)
    for model in (first, second, second):
        registry.add(model)
    assert len(registry.records) == 2
    registry.promote(first.id)
    registry.promote(second.id)
    champion = registry.champion(FAILURES)
    assert champion is not None
    assert champion.id == second.id
    back = registry.roll_back(FAILURES)
    assert back is not None
    assert back.id == first.id
    assert {model.id: model.status for model in registry.records} == {first.id: "champion", second.id: "shadow"}
    assert registry.roll_back(FAILURES) is None
    assert registry.champion(FAILURES) is None
