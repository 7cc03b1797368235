"""Runs one schedule against real servers and a real plm, and says what differs afterwards."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from lab.daemon import Plm, Refused, Status, replicated_time
from lab.raw import RAW
from lab.servers import Pair, ReplicaSet, create_pair
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from .behind import Behind, behind
from .compare import differences
from .schedule import Control, EndTransaction, Operation, Schedule, Transaction, Write

# Fault points hit plm alone, by this name.
CLIENT = {"appName": "plm-under-test", "heartbeatFrequencyMS": 500}
# No TTL monitor: what it removes, and when, is no business of plm. An index build that waits for an open transaction
# lets nobody else read the collection; the schedule may end the transaction only behind what waits for plm.
PARAMETERS = {
    "enableTestCommands": 1,
    "ttlMonitorEnabled": "false",
    "shutdownTimeoutMillisForSignaledShutdown": 100,
    "transactionLifetimeLimitSeconds": 15,
}
STUCK_SECONDS = float(os.environ.get("PLM_DIFFERENTIAL_STUCK_SECONDS", "40"))  # more on a busy machine
BLOCKED_MS = 300  # a command that an open transaction blocks gives up after this
POLL_SECONDS = 0.01
AGAIN_SECONDS = 0.005  # between the writes of one writer while plm finalizes
PLM_COMMANDS = (  # all that matter: neither the driver's own nor the ones that end something
    *("aggregate", "find", "getMore", "count", "dataSize", "collStats", "listCollections", "listIndexes", "listDatabases"),
    *("insert", "update", "delete", "applyOps", "commitTransaction", "appendOplogNote", "hostInfo", "currentOp"),
    *("create", "createIndexes", "collMod", "drop", "dropDatabase", "dropIndexes", "renameCollection", "convertToCapped"),
)
DATA_COMMANDS = ("insert", "update", "delete", "findAndModify")
READS_AHEAD = "some documents on the target are newer than the end of replication"


@dataclass
class Outcome:
    differences: list[str]
    commands: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # commands that the source answered with an error
    done: Counter[str] = field(default_factory=Counter)  # commands that it carried out
    finalized: Counter[str] = field(default_factory=Counter)  # under writes: what came of it
    events: int = 0
    seconds: float = 0.0
    log: str = ""

    @property
    def kind(self) -> str:
        """What sort of difference, to tell one bug from another while shrinking."""
        return self.differences[0].split(":")[0] if self.differences else ""


class Stuck(Exception):
    """plm failed, ended or does not come to an end. The text begins with the sort of difference and a colon."""


class Lab:
    """A pair of servers that many schedules use, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pair: Pair = create_pair(folder / "servers", PARAMETERS)
        # Writers need not wait for the journal.
        self.pair.source.admin.admin.command("setDefaultRWConcern", defaultWriteConcern={"w": 1})
        self.runs = 0

    def close(self) -> None:
        self.pair.destroy()

    def logs(self) -> str:
        """The ends of the servers' logs, for when one of them dies."""
        return "\n".join((side.folder / "mongod.log").read_text(errors="replace")[-3000:] for side in self.pair)

    def run(self, schedule: Schedule) -> Outcome:
        self.runs += 1
        began = time.monotonic()
        folder = self.folder / "plm"
        shutil.rmtree(folder, ignore_errors=True)
        self._heal()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda side: side.wipe(), self.pair))
        run = _Run(self.pair, schedule, folder)
        outcome = run.outcome()
        outcome.seconds = time.monotonic() - began
        return outcome

    def _heal(self) -> None:
        for side in self.pair:
            side.heal()


class Application:
    """Sends commands and transactions to the source, for several threads, and counts them in `counted`."""

    def __init__(self, client: MongoClient, counted: Outcome) -> None:
        self.client = client
        self.counted = counted
        self.sessions: dict[str, ClientSession] = {}  # of transactions that are open
        self.lock = threading.Lock()

    def run(self, operation: Write | Transaction | EndTransaction) -> None:
        match operation:
            case Write():
                self._write(operation, None)
            case Transaction():
                self._transaction(operation)
            case EndTransaction():
                if session := self.sessions.pop(operation.name, None):
                    self._end(session, operation.how)

    def close(self) -> None:
        for session in self.sessions.values():
            _abort(session)

    def _write(self, write: Write, session: ClientSession | None) -> bool:
        name = next(iter(write.command))
        command = write.command if session else {**write.command, "maxTimeMS": BLOCKED_MS}
        try:
            reply = self.client[write.database].command(command, session=session, codec_options=RAW)
        except OperationFailure as error:
            self._count(self.counted.refused, f"{name} {error.code}")
            return False
        wrong = [one["code"] for one in reply.get("writeErrors", [])]
        for code in wrong:
            self._count(self.counted.refused, f"{name} {code}")
        self._count(self.counted.done, name)
        return not wrong

    def _count(self, counter: Counter[str], what: str) -> None:
        with self.lock:
            counter[what] += 1
            self.counted.commands += 1

    def _transaction(self, transaction: Transaction) -> None:
        """An error inside aborts it, as the server does."""
        session = self.client.start_session()
        session.start_transaction()
        if not all(self._write(write, session) for write in transaction.writes):
            _abort(session)
        elif transaction.end == "open":
            self.sessions[transaction.name] = session
        else:
            self._end(session, transaction.end)

    def _end(self, session: ClientSession, how: str) -> None:
        if how == "abort":
            return _abort(session)
        try:
            session.commit_transaction()
            self._count(self.counted.done, "commitTransaction")
        except PyMongoError:  # what was open for long may be gone
            self._count(self.counted.refused, "commitTransaction")
        session.end_session()


class _Gate:
    """Lets an operation begin when everything more than `window` places ahead of it has ended."""

    def __init__(self, count: int, window: int) -> None:
        self.window = window
        self.ended = [False] * count
        self.low = 0  # everything before it has ended
        self.changed = threading.Condition()

    def wait(self, index: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: index - self.low <= self.window)

    def end(self, index: int) -> None:
        with self.changed:
            self.ended[index] = True
            while self.low < len(self.ended) and self.ended[self.low]:
                self.low += 1
            self.changed.notify_all()


class _Run:
    def __init__(self, pair: Pair, schedule: Schedule, folder: Path) -> None:
        self.pair = pair
        self.schedule = schedule
        self.plm = Plm(pair.source.uri(**CLIENT), pair.target.uri(**CLIENT), folder, portable=schedule.portable)
        self.daemon = _Daemon(self.plm, pair, schedule)
        self.gate = _Gate(len(schedule.operations), schedule.window)
        self.result = Outcome([])
        self.application = Application(pair.source.admin, self.result)
        self.quiet = threading.Event()  # nobody writes any more once the operations are done

    def outcome(self) -> Outcome:
        try:
            self._slow_down()
            self._run_operations()
            self.daemon.finish()
            self._compare()
        except Stuck as stuck:
            self.result.differences = [str(stuck)]
        finally:
            self.plm.stop()
            self.application.close()
        self.result.log = self.plm.log()
        return self.result

    def _compare(self) -> None:
        status = self.daemon.status()
        self.result.events = status.get("eventsApplied", 0)
        since = self._since_the_end(status) if self.daemon.under_writes else Behind()
        self.result.differences = differences(self.pair, self.schedule.include, self.schedule.exclude, since)
        said = status.get("finalization", {}).get("differences", [])
        if (wrong := [line for line in said if not since.explains(line)]) and not self.result.differences:
            self.result.differences = [f"report: plm names differences that are none: {wrong}"]

    def _since_the_end(self, status: Status) -> Behind:
        """What happened on the source since the time that plm stands for."""
        ends = self.plm.ends_of_replication()
        if not ends:
            raise Stuck("end: plm does not say up to which time everything is applied")
        reads_ahead = any(READS_AHEAD in warning for warning in status.get("warnings", []))
        out = behind(self.pair.source, ends[-1], reads_ahead=reads_ahead)
        structure = len(out.there.keys() | out.changed)
        self.result.finalized.update({"schedules": 1, "ends": len(ends), "writes behind": out.entries})
        self.result.finalized.update({"without writes behind": int(not out.entries), "structure behind": structure})
        self.result.finalized.update({"documents ahead": int(reads_ahead)})
        return out

    def _slow_down(self) -> None:
        for side, how in self.schedule.slow.items():
            _slow_down(getattr(self.pair, side), how["commands"], how["milliseconds"])
        self.daemon.make_unreliable()

    # -- the list of operations ----------------------------------------------------------------------------------------
    def _run_operations(self) -> None:
        lists: dict[Any, list[tuple[int, Operation]]] = {}
        for index, operation in enumerate(self.schedule.operations):
            lists.setdefault("plm" if isinstance(operation, Control) else operation.by, []).append((index, operation))
        ours = lists.pop("plm", [])
        with ThreadPoolExecutor(max(1, len(lists))) as pool:
            writers = [pool.submit(self._write, operations) for operations in lists.values()]
            try:
                self._run_list(ours)
                if self.daemon.under_writes:
                    self.daemon.finish()
            finally:
                self.quiet.set()
            for ended in writers:
                ended.result()

    def _write(self, operations: list[tuple[int, Operation]]) -> None:
        """What only changes documents and is behind the request to finalize is repeated until that is done."""
        self._run_list(operations)
        place = self.schedule.late
        late = [operation for index, operation in operations if index > place and _changes_data(operation)]
        while late and not self.quiet.wait(AGAIN_SECONDS):
            self.application.run(late[0])
            late.append(late.pop(0))

    def _run_list(self, operations: list[tuple[int, Operation]]) -> None:
        """Goes on in whatever case, for the other lists wait for the ends of these operations."""
        problem: Exception | None = None
        for index, operation in operations:
            self.gate.wait(index)
            try:
                if problem is None:
                    self._run_operation(operation)
            except Exception as error:  # raised again when all have come to their ends
                problem = error
            finally:
                self.gate.end(index)
        if problem:
            raise problem

    def _run_operation(self, operation: Operation) -> None:
        match operation:
            case Control():
                self.daemon.control(operation)
            case _:
                self.application.run(operation)


def _changes_data(operation: Operation) -> bool:
    match operation:
        case Write():
            return next(iter(operation.command)) in DATA_COMMANDS
        case Transaction():
            return operation.end != "open"
        case _:
            return False


def _abort(session: ClientSession) -> None:
    if session.in_transaction:
        session.abort_transaction()
    session.end_session()


def _fail(side: ReplicaSet, mode: Any, commands: Iterable[str], answer: dict[str, Any]) -> None:
    """These commands of plm get this answer, in this mode of fault points."""
    side.fail_point("failCommand", mode, failCommands=list(commands), appName=CLIENT["appName"], **answer)


def _slow_down(side: ReplicaSet, commands: list[str], milliseconds: int) -> None:
    """Each of these commands of plm takes so much longer, until the server is healed."""
    _fail(side, "alwaysOn", commands, {"blockConnection": True, "blockTimeMS": milliseconds})


class _Daemon:
    """plm as the schedule wants it: started or not, paused or not, dead or alive."""

    def __init__(self, plm: Plm, pair: Pair, schedule: Schedule) -> None:
        self.plm = plm
        self.pair = pair
        self.schedule = schedule
        self.started = False
        self.paused = False
        self.finalizing = False
        self.under_writes = False  # finalizing while the application goes on

    def control(self, control: Control) -> None:
        match control.do:
            case "start":
                self._start()
            case "pause" if self._working():
                self._request(self.plm.pause)
                self.paused = self.status()["state"] == "paused"
            case "resume" if self.plm.process and self.paused:
                self._request(self.plm.resume)
                self.paused = self.status()["state"] == "paused"
            case "kill" if self.plm.process:
                self.plm.kill9()
            case "run":
                self._run()
            case "finalize" if not self.finalizing:
                self._finalize_under_writes(control.arguments.get("milliseconds", 0))
            case "wait" if self._working() and not self.paused and not self.finalizing:
                self._wait(control.arguments["for"])
            case "fault":
                self._fault(**control.arguments)
            case "sleep":
                time.sleep(control.arguments["milliseconds"] / 1000)

    def finish(self) -> None:
        """Whatever was left undone: runs, starts, resumes, and finalizes when the copy is complete."""
        if not self.finalizing:
            for side in self.pair:
                side.heal()
            self.make_unreliable()
            self._finalize()
        self._run()
        self._until("finalized", lambda status: status["state"] == "finalized")

    def _finalize_under_writes(self, milliseconds: int) -> None:
        """Transactions of the application stay open. Each listing of the source's collections takes so long, and so does
        the time from the end of replication to the moment when plm stops there."""
        self.pair.target.heal()
        self.pair.source.fail_point("failCommand", "off")
        self.make_unreliable()
        if milliseconds:
            _slow_down(self.pair.source, ["listCollections"], milliseconds)
        self.under_writes = True
        self._finalize()

    def _finalize(self) -> None:
        """Of paused jobs whose copy is complete every other one is finalized as it is."""
        self._run()
        self._start()
        as_it_is = self.schedule.seed % 2 == 0 and self.status()["initialSync"]["completed"]
        if self.paused and not as_it_is:
            self._request(self.plm.resume)
        self._until("synced", lambda status: status["initialSync"]["completed"])
        self._request(self.plm.finalize, must=True)
        self.finalizing = True
        if self.schedule.kill_in_finalize is not None:
            time.sleep(self.schedule.kill_in_finalize)
            self.plm.kill9()
            self._run()

    def make_unreliable(self) -> None:
        for side, how in self.schedule.unreliable.items():
            mode = {"activationProbability": how["probability"]}
            _fail(getattr(self.pair, side), mode, PLM_COMMANDS, how["answer"])

    def status(self) -> Status:
        try:
            return self.plm.status()
        except requests.RequestException as error:
            raise Stuck(f"{self._ended(error)}") from error

    # -- parts ---------------------------------------------------------------------------------------------------------
    def _working(self) -> bool:
        return self.started and self.plm.process is not None

    def _run(self) -> None:
        if self.plm.process:
            return
        try:
            self.plm.run()
        except RuntimeError as error:
            raise Stuck(f"ended: {error}") from error
        if self.started:  # what was acknowledged is not forgotten
            self._until("saved job", lambda status: status["state"] != "idle", 10)

    def _start(self) -> None:
        if self.started:
            return
        self._run()
        options = dict(self.schedule.tuning)
        if self.schedule.include:
            options["includeNamespaces"] = self.schedule.include
        if self.schedule.exclude:
            options["excludeNamespaces"] = self.schedule.exclude
        self._request(lambda: self.plm.start(**options), must=True)
        self.started = True

    def _request(self, request: Callable[[], Any], *, must: bool = False) -> None:
        """A request that is refused is none of our business, unless the schedule cannot go on without it.

        503 means that a server could not be asked: then the same request is made again.
        """
        deadline = time.monotonic() + 10
        while True:
            try:
                request()
                return
            except Refused as refused:
                if not must:
                    return
                if refused.http_status != 503 or time.monotonic() > deadline:
                    state = self.status()
                    raise Stuck(f"refused: {refused} ({state['state']}: {state.get('error')})") from refused
                time.sleep(POLL_SECONDS)
            except requests.RequestException as error:
                raise Stuck(self._ended(error)) from error

    def _ended(self, error: Exception) -> str:
        code = self.plm.process.poll() if self.plm.process else None
        end = self.plm.log()[-1500:]
        return f"ended: plm ended with {code}\n{end}" if code is not None else f"silent: {error}\n{end}"

    def _until(self, what: str, holds: Callable[[Status], bool], seconds: float = STUCK_SECONDS) -> None:
        if self.schedule.unreliable:
            seconds *= 3  # it goes on a second after each failure
        deadline = time.monotonic() + seconds
        while not holds(status := self.status()):
            if status["state"] == "failed":
                raise Stuck(f"failed: {status.get('error')}")
            if time.monotonic() > deadline:
                raise Stuck(f"stuck: not {what} after {seconds} s: {status}\n{self.plm.log()[-1500:]}")
            time.sleep(POLL_SECONDS)

    def _wait(self, what: str) -> None:
        if what == "applied":
            time_of_source = self.pair.source.cluster_time()
            return self._until("applied", lambda status: replicated_time(status) >= time_of_source)
        if what == "synced":
            return self._until("synced", lambda status: status["initialSync"]["completed"])
        # The middle of the copy may be over before we see it.
        end = time.monotonic() + 0.5
        part = "copying" if what == "copying" else "copied"
        self._until(what, lambda status: status["initialSync"]["collections"][part] or time.monotonic() > end)

    def _fault(self, side: str, commands: list[str], times: int, answer: dict[str, Any]) -> None:
        _fail(getattr(self.pair, side), {"times": times}, commands, answer)
