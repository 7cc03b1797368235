"""A schedule: what is done to the source and to plm, in which order, with which settings; and its JSON form.

Operations stand in one list. Each belongs to a writer, or to plm; those of one writer run in order, those of different
ones side by side, but nothing runs before everything more than `window` places ahead of it has ended. With a window of
zero a schedule is sequential. Any part of the list is a valid schedule, too, which is what shrinking needs.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

FORMAT = 1
# Canonical: an int32 stays one, a double stays a double.
_JSON = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)


@dataclass
class Write:
    """A command for the source."""

    by: int
    database: str
    command: dict[str, Any]


@dataclass
class Transaction:
    """Several commands in one transaction. `end`: commit, abort, or open: an EndTransaction follows, or the schedule ends."""

    by: int
    name: str
    writes: list[Write]
    end: str


@dataclass
class EndTransaction:
    by: int
    name: str
    how: str  # commit, abort


@dataclass
class Control:
    """Something done to plm or to its servers: start, pause, resume, kill, run, wait, fault, sleep, finalize. Without a
    finalize that is done when all operations have ended."""

    do: str
    arguments: dict[str, Any] = field(default_factory=dict)


Operation = Write | Transaction | EndTransaction | Control


@dataclass
class Schedule:
    seed: int
    portable: bool = False
    window: int = 0
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    tuning: dict[str, Any] = field(default_factory=dict)  # of /start
    slow: dict[str, dict[str, Any]] = field(default_factory=dict)  # server -> {commands, milliseconds}
    unreliable: dict[str, dict[str, Any]] = field(default_factory=dict)  # server -> {probability, answer}
    kill_in_finalize: float | None = None  # seconds after the request
    operations: list[Operation] = field(default_factory=list)
    note: str = ""

    @property
    def late(self) -> int:
        """The place of the request to finalize; what is behind it goes on until plm has finalized."""
        for place, operation in enumerate(self.operations):
            if isinstance(operation, Control) and operation.do == "finalize":
                return place
        return len(self.operations)

    def count(self) -> int:
        """Commands sent to the source."""
        return sum(len(o.writes) if isinstance(o, Transaction) else isinstance(o, Write) for o in self.operations)


# -- JSON --------------------------------------------------------------------------------------------------------------
def save(schedule: Schedule, path: Path) -> None:
    path.write_text(dumps(schedule))


def load(path: Path) -> Schedule:
    return loads(path.read_text())


def dumps(schedule: Schedule) -> str:
    """One line for each operation, so that a kept case can be read and edited."""
    head = {key: value for key, value in asdict_shallow(schedule).items() if key != "operations"}
    lines = ",\n".join("  " + json.dumps(_operation_to_json(o), ensure_ascii=False) for o in schedule.operations)
    top = json.dumps({"format": FORMAT, **head}, indent=1, ensure_ascii=False)
    return f'{top[:-2]},\n "operations": [\n{lines}\n ]\n}}\n'


def loads(text: str) -> Schedule:
    fields = json.loads(text)
    if fields.pop("format", None) != FORMAT:
        raise ValueError(f"not a schedule of format {FORMAT}")
    operations = [_operation_from_json(o) for o in fields.pop("operations")]
    return Schedule(**fields, operations=operations)


def asdict_shallow(schedule: Schedule) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in schedule.__dataclass_fields__}


def _operation_to_json(operation: Operation) -> dict[str, Any]:
    match operation:
        case Write():
            return {"by": operation.by, **_write_to_json(operation)}
        case Transaction():
            writes = [_write_to_json(write) for write in operation.writes]
            return {"by": operation.by, "transaction": operation.name, "writes": writes, "end": operation.end}
        case EndTransaction():
            return {"by": operation.by, "end_transaction": operation.name, "how": operation.how}
        case Control():
            return asdict(operation)


def _operation_from_json(fields: dict[str, Any]) -> Operation:
    if "do" in fields:
        return Control(**fields)
    by = fields["by"]
    if "end_transaction" in fields:
        return EndTransaction(by, fields["end_transaction"], fields["how"])
    if "transaction" in fields:
        writes = [_write_from_json(by, write) for write in fields["writes"]]
        return Transaction(by, fields["transaction"], writes, fields["end"])
    return _write_from_json(by, fields)


def _write_to_json(write: Write) -> dict[str, Any]:
    return {"db": write.database, "command": _to_json(write.command)}


def _write_from_json(by: int, fields: dict[str, Any]) -> Write:
    return Write(by, fields["db"], _from_json(fields["command"]))


def _to_json(value: Any) -> Any:
    """Extended JSON; documents that Python cannot hold (a name twice, deprecated types) as {"$raw": base64}."""
    if isinstance(value, RawBSONDocument):
        return {"$raw": base64.b64encode(value.raw).decode()}
    if isinstance(value, dict):
        return {key: _to_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_to_json(inner) for inner in value]
    return json_util.default(value, _JSON) if not isinstance(value, str | bool | None) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$raw"}:
            return raw(base64.b64decode(value["$raw"]))
        converted = {key: _from_json(inner) for key, inner in value.items()}
        return json_util.object_hook(converted, _JSON)
    if isinstance(value, list):
        return [_from_json(inner) for inner in value]
    return value


def raw(data: bytes) -> RawBSONDocument:
    return RawBSONDocument(data, codec_options=CodecOptions(document_class=RawBSONDocument))
