"""Models as signed JSON: read back only when the signature fits the key. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flexiroaster.engine.errors import FlexiRoasterError

ModelStatus = Literal["shadow", "champion", "retired"]
FORMAT = 1


class ModelRefused(FlexiRoasterError):
    """A model's file is damaged, foreign, or made for other features."""

    code = "model_refused"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One trained model with its card. `id` is made from the content: the same training gives the same id."""

    id: str
    kind: str
    """`failures` or `durations`."""
    schema: str
    """Hash of the features it answers for."""
    trained_at: float
    status: ModelStatus
    card: Mapping[str, Any]
    body: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, kind: str, schema: str, trained_at: float, body: Mapping[str, Any]) -> ModelRecord:
        content = _bytes({"kind": kind, "schema": schema, "trained_at": trained_at, "body": body})
        id = f"{kind}-{hashlib.sha256(content).hexdigest()[:12]}"
        return cls(id, kind, schema, trained_at, "shadow", body.get("card", {}), body)

    def to_file(self, key: bytes) -> bytes:
        content = {
            "format": FORMAT,
            "id": self.id,
            "kind": self.kind,
            "schema": self.schema,
            "trained_at": self.trained_at,
            "body": self.body,
        }
        return json.dumps({"signature": _signature(_bytes(content), key), "content": content}).encode()

    @classmethod
    def from_file(cls, data: bytes, key: bytes) -> ModelRecord:
        """Raises ModelRefused before anything of the content is used."""
        try:
            file = json.loads(data)
            content, signature = file["content"], str(file["signature"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelRefused("The file holds no model: train again.") from error
        if not hmac.compare_digest(_signature(_bytes(content), key), signature):
            raise ModelRefused("The model's signature does not fit this server's key: train again here.")
        if content.get("format") != FORMAT:
            raise ModelRefused(
                f"The model has format {content.get('format')}, this version reads {FORMAT}: train again."
            )
        record = cls.of(content["kind"], content["schema"], content["trained_at"], content["body"])
        return replace(record, id=content["id"])


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
    if len(key) < 32:
        raise ModelRefused(f"The key that signs models has {len(key)} bytes: give at least 32.")
    return hmac.new(key, content, hashlib.sha256).hexdigest()
