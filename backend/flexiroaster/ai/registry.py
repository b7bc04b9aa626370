"""Trained models as signed files: read only when the signature fits the key. Nothing is ever unpickled.

A file is a line `flexiroaster-model FORMAT SIGNATURE` and JSON after it. The signature (HMAC-SHA256) holds for the
format and every byte after the line, and is checked before anything of them is read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn

from flexiroaster.ai.prediction.duration import WIDTH, TrainedDurations
from flexiroaster.ai.prediction.features import NAMES, schema_hash
from flexiroaster.ai.prediction.training import Trained
from flexiroaster.engine.errors import FlexiRoasterError

ModelStatus = Literal["shadow", "champion", "retired"]
KINDS = ("executions-durations", "executions-failures", "stages-durations", "stages-failures")
FORMAT = 1
MAGIC = b"flexiroaster-model"
LARGEST_FILE = 64 * 2**20
"""Bytes. The largest model that training makes here has less than a twentieth of it."""
LEAST_KEY = 32
_ID = re.compile(r"[a-z]+-[a-z]+-[0-9a-f]{12}")


class ModelRefused(FlexiRoasterError):
    """A model's file is damaged, foreign, or made for other features."""

    code = "model_refused"


@dataclass(frozen=True)
class ModelRecord:
    """One trained model with its card. `id` is made from the content: the same training gives the same id."""

    id: str
    kind: str
    """`failures` or `durations`, of `stages-` or `executions-`."""
    features: tuple[str, ...]
    """Those that it answers for, in their order."""
    trained_at: float
    status: ModelStatus
    body: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, kind: str, features: tuple[str, ...], trained_at: float, body: Mapping[str, Any]) -> ModelRecord:
        content = {"kind": kind, "features": list(features), "trained_at": trained_at, "body": body}
        id = f"{kind}-{hashlib.sha256(_bytes(content)).hexdigest()[:12]}"
        return cls(id, kind, features, trained_at, "shadow", body)

    @property
    def card(self) -> Mapping[str, Any]:
        card: Mapping[str, Any] = self.body.get("card", {})
        return card

    @property
    def schema(self) -> str:
        """Hash of the features."""
        return schema_hash(self.features)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The features that came with the runs, beside those that every model has."""
        return self.features[len(NAMES) :]

    @cached_property
    def model(self) -> Trained | TrainedDurations:
        """Ready to answer. Raises ModelRefused when its shapes are wrong."""
        try:
            model: Trained | TrainedDurations
            if self.kind.endswith("-failures"):
                model = Trained.from_document(self.body)
                fits = model.names == self.features
            else:
                model = TrainedDurations.from_document(self.body)
                fits = model.width == WIDTH + len(self.attributes)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ModelRefused(f"Model {self.id} has not the shape of one ({error!r:.120}): train again.") from error
        if not fits:
            raise ModelRefused(f"Model {self.id} answers for other features than it says: train again.")
        return model

    def to_file(self, key: bytes) -> bytes:
        content = {
            "id": self.id,
            "kind": self.kind,
            "features": list(self.features),
            "trained_at": self.trained_at,
            "body": self.body,
        }
        data = _bytes(content)
        return b"%s %d %s\n%s" % (MAGIC, FORMAT, _signature(data, key).encode(), data)

    @classmethod
    def from_file(cls, data: bytes, key: bytes) -> ModelRecord:
        """Raises ModelRefused before anything of the content is used."""
        record = cls._of_content(_verified(data, key))
        if record.features[: len(NAMES)] != NAMES:
            raise ModelRefused(f"Model {record.id} was trained on other features: train again.")
        _ = record.model
        return record

    @classmethod
    def _of_content(cls, content: Any) -> ModelRecord:
        try:
            features = tuple(map(str, content["features"]))
            record = cls.of(str(content["kind"]), features, float(content["trained_at"]), dict(content["body"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelRefused(f"The file holds no model ({error!r:.120}): train again.") from error
        if record.kind not in KINDS:
            raise ModelRefused(f"The file holds a model of {record.kind!r}, known are {', '.join(KINDS)}: train again.")
        if record.id != content.get("id"):
            raise ModelRefused(f"The file of {content.get('id')!r} holds the model {record.id}: train again.")
        return record


def _verified(data: bytes, key: bytes) -> Any:
    if len(data) > LARGEST_FILE:
        raise ModelRefused(f"The file has {len(data):,} bytes, a model at most {LARGEST_FILE:,}: train again.")
    line, _, content = data.partition(b"\n")
    words = line.split(b" ")
    if len(words) != 3 or words[0] != MAGIC:
        raise ModelRefused("The file holds no model: train again.")
    if words[1] != b"%d" % FORMAT:
        version = words[1][:20].decode(errors="replace")
        raise ModelRefused(f"The model has format {version!r}, this version reads {FORMAT}: train again.")
    if not hmac.compare_digest(_signature(content, key).encode(), words[2]):
        raise ModelRefused("The model's signature does not fit this server's key: train again here.")
    try:
        return json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ModelRefused("The file holds no model: train again.") from error


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of a model")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be remembered of a stored model, to find and check its file again."""

    id: str
    kind: str
    schema: str
    trained_at: float
    file: str
    """Its name in the folder."""
    size: int
    card: Mapping[str, Any] = field(repr=False)


def save(model: ModelRecord, folder: Path, key: bytes) -> Entry:
    """Write the signed file into the folder, whole or not at all. Saving the same model twice changes nothing."""
    data = model.to_file(key)
    name = f"{model.id}.model"
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=folder, prefix=f".{name}-")
    written = Path(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written.replace(folder / name)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return Entry(model.id, model.kind, model.schema, model.trained_at, name, len(data), model.card)


def load(entry: Entry, folder: Path, key: bytes) -> ModelRecord:
    """The model that answers exactly as the saved one. Raises ModelRefused for any file but that one."""
    if not _ID.fullmatch(entry.id) or entry.file != f"{entry.id}.model":
        raise ModelRefused(f"{entry.file!r} is no name of a model's file: choose one of the registry.")
    path = folder / entry.file
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelRefused(f"The file of model {entry.id} cannot be read ({reason}): train again.") from error
    record = ModelRecord.from_file(data, key)
    if record.id != entry.id:
        raise ModelRefused(f"The file of {entry.id} holds the model {record.id}: train again.")
    return record


@dataclass
class Registry:
    """The models of each kind: one champion, shadows that are compared with it, the retired ones to go back to."""

    records: list[ModelRecord] = field(default_factory=list)

    def add(self, record: ModelRecord) -> None:
        """As a shadow. Adding the same model twice changes nothing."""
        if all(known.id != record.id for known in self.records):
            self.records.append(replace(record, status="shadow"))

    def champion(self, kind: str) -> ModelRecord | None:
        return next((record for record in self.records if record.kind == kind and record.status == "champion"), None)

    def promote(self, id: str) -> ModelRecord:
        """Make it the champion; the one before retires. Raises ModelRefused when there is no such model."""
        found = next((record for record in self.records if record.id == id), None)
        if found is None:
            raise ModelRefused(f"There is no model {id!r}: choose one of the registry.")
        self.records = [
            replace(record, status="retired") if record.kind == found.kind and record.status == "champion" else record
            for record in self.records
            if record.id != id
        ]
        promoted = replace(found, status="champion")
        self.records.append(promoted)
        return promoted

    def roll_back(self, kind: str) -> ModelRecord | None:
        """Retire the champion and bring back the one before it; None leaves the prior alone."""
        champion = self.champion(kind)
        before = [record for record in self.records if record.kind == kind and record.status == "retired"]
        if champion is not None:
            self.records = [
                replace(record, status="shadow") if record is champion else record for record in self.records
            ]
        return self.promote(before[-1].id) if before else None


def _bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _signature(content: bytes, key: bytes) -> str:
    if len(key) < LEAST_KEY:
        raise ModelRefused(f"The key that signs models has {len(key)} bytes: give at least {LEAST_KEY}.")
    return hmac.new(key, b"%s %d\n%s" % (MAGIC, FORMAT, content), hashlib.sha256).hexdigest()
