"""One run against real servers: load and faults, quiet, finalize, and what differs then."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from differential.compare import differences
from differential.execute import PARAMETERS, Stuck
from lab.daemon import Status
from lab.load import fill
from lab.proxy import Wire, wires_to
from lab.servers import SOURCE_ROLES, TARGET_ROLES, MemberSet, Pair, uri
from pymongo.errors import PyMongoError

from .daemons import Daemons
from .faults import APP_NAME, Faults, Measured
from .heart import Heart
from .load import BULK, COLLECTIONS, Load
from .machine import patiently
from .plan import FREEZE_PLM, Fault, Plan

# Seconds. Events flow again within five of a primary being there, and that is the median of a campaign. One may take
# longer: until its members read from the new primary, a set acknowledges only twice a second, for up to twenty seconds.
# A busy machine gets more of both.
RECOVERED_WITHIN = 30.0
DEAD_CONNECTIONS_WITHIN = 30.0  # more: nobody tells, so plm finds out by the time a command takes
REDONE_WITHIN = 30.0  # of copying or applying


@dataclass
class Outcome:
    plan: Plan
    failures: list[str]
    void: str = ""  # why the servers, not plm, could not bring the run to its end
    faults: list[Measured] = field(default_factory=list)
    commands: int = 0
    interrupted: int = 0
    events: int = 0
    manual_steps: int = 0
    seconds: float = 0.0
    log: str = ""

    @property
    def is_slow(self) -> bool:
        """Worth a look, also where the machine is to blame."""
        return any(_took_long(self.plan, one, 1.0) for one in self.faults)


class Lab:
    """Two replica sets of three that many runs use, one after the other, and a wire to each member."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        source = MemberSet(folder / "source", "rs_source", plm_roles=SOURCE_ROLES, parameters=PARAMETERS)
        target = MemberSet(folder / "target", "rs_target", plm_roles=TARGET_ROLES, parameters=PARAMETERS)
        self.pair = Pair(source, target)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(MemberSet.create, self.pair))
        self.wires: dict[str, list[Wire]] = {"source": wires_to(source.ports), "target": wires_to(target.ports)}

    def close(self) -> None:
        for wire in self._all_wires():
            wire.close()
        self.pair.destroy()

    def logs(self) -> dict[str, Path]:
        """Those of all members, by name."""
        return {
            f"{side.folder.name}-{member.folder.name}.log": member.folder / "mongod.log"
            for side in self.pair
            for member in side.members
        }

    def _all_wires(self) -> list[Wire]:
        return [wire for wires in self.wires.values() for wire in wires]

    def heal(self) -> None:
        for wire in self._all_wires():
            wire.heal()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(MemberSet.heal, self.pair))
        for side in self.pair:
            user = side.plm_user
            patiently(lambda: side.admin.admin.command("updateUser", user.name, roles=list(user.roles)))

    def run(self, plan: Plan) -> Outcome:
        began = time.monotonic()
        for path in self.logs().values():
            path.write_bytes(b"")
        folder = self.folder / "plm"
        shutil.rmtree(folder, ignore_errors=True)
        self.heal()
        for side in self.pair:
            patiently(side.wipe)
        run = _Run(self, plan, folder)
        try:
            outcome = run.outcome()
        finally:
            run.daemons.close()
        outcome.seconds = time.monotonic() - began
        return outcome

    def uris(self, plan: Plan) -> tuple[str, str]:
        def one(side: MemberSet, wires: list[Wire]) -> str:
            ports = [wire.port for wire in wires] if plan.wired else side.ports
            return uri(ports, side.set_name, side.plm_user, appName=APP_NAME, **plan.uri)

        return one(self.pair.source, self.wires["source"]), one(self.pair.target, self.wires["target"])


def _took_long(plan: Plan, measured: Measured, slower: float) -> str:
    """What did, if anything."""
    limit = RECOVERED_WITHIN + (DEAD_CONNECTIONS_WITHIN if plan.kills_connections else 0)
    if measured.recovered is not None and measured.recovered > limit * slower:
        return f"events flow again only after {measured.recovered:.1f} s"
    if measured.redone is not None and measured.redone.worked > REDONE_WITHIN * slower:
        return str(measured.redone)
    return ""


class _Run:
    def __init__(self, lab: Lab, plan: Plan, folder: Path) -> None:
        self.lab = lab
        self.plan = plan
        self.daemons = Daemons(lab.uris(plan), folder, portable=plan.portable, clock=plan.clock)
        self.heart = Heart(lab.pair, self.daemons.check)
        self.faults = Faults(lab.pair, lab.wires, self.daemons, self.heart, plan.standby)
        self.load = Load(lab.pair.source, plan)

    def outcome(self) -> Outcome:
        result, stacks = Outcome(self.plan, []), ""
        try:
            status = self._live()
            result.failures = self._compare(status)
            result.events = status["eventsApplied"]
        except Stuck as stuck:
            result.failures = [str(stuck)]
            stacks = self.daemons.stacks()
        except (PyMongoError, TimeoutError, RuntimeError) as error:
            result.void = f"{type(error).__name__}: {error}"[:500]
        result.faults = self.faults.measured
        result.failures += self._too_long()
        result.commands, result.interrupted = self.load.counted.commands, self.load.interrupted
        result.manual_steps = self.daemons.manual_steps
        result.log = self.daemons.log() + stacks
        return result

    def _too_long(self) -> list[str]:
        measured = [(_took_long(self.plan, one, one.slowness), one.fault) for one in self.faults.measured]
        return [f"slow: {what}: {fault}" for what, fault in measured if what]

    def _live(self) -> Status:
        plan, daemons, source = self.plan, self.daemons, self.lab.pair.source
        concern = {"w": "majority" if plan.majority else 1}
        source.admin.admin.command("setDefaultRWConcern", defaultWriteConcern=concern)
        for name in COLLECTIONS:
            fill(source.admin, BULK, name, plan.documents, size=300)
        self.heart.first()
        if plan.slow:
            slow = {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": plan.slow, "appName": APP_NAME}
            self.lab.pair.target.fail_point("failCommand", "alwaysOn", **slow)
        with self.load:
            daemons.run()
            daemons.until("idle", lambda status: status["state"] == "idle")
            daemons.request(lambda: daemons.owner.start(**plan.tuning))
            self._strike(plan.copying, "copying")
            patiently(lambda: self.lab.pair.target.fail_point("failCommand", "off"))  # what slowed the copy
            daemons.until("synced", lambda status: status["initialSync"]["completed"])
            self._strike(plan.streaming, "streaming")
        self._quiet()
        return self._finalize()

    def _strike(self, faults: tuple[Fault, ...], phase: str) -> None:
        for fault in faults:
            self.faults.strike(fault, phase)

    def _quiet(self) -> None:
        """Nothing is written any more, and no transaction left open would be."""
        for wire in self.lab._all_wires():
            wire.heal()
        source, target = self.lab.pair
        source.wait_complete()
        target.wait_complete()
        target.fail_point("failCommand", "off")
        source.fail_point("failCommand", "off")
        patiently(lambda: source.admin.admin.command("killAllSessions", []))
        self.daemons.until("synced", lambda status: status["initialSync"]["completed"])
        self.daemons.until_applied(self.faults.mark())

    def _finalize(self) -> Status:
        daemons = self.daemons
        daemons.request(lambda: daemons.owner.finalize())
        self.faults.flows = False
        self._strike(self.plan.finalizing, "finalizing")
        return daemons.until("finalized", lambda status: status["state"] == "finalized", 90)

    def _compare(self, status: Status) -> list[str]:
        found = patiently(self._differences)
        said = status["finalization"]
        if not found:
            found = [f"report: plm names differences that are none: {one}" for one in said["differences"]]
        found += [f"index: {one}" for one in said["unsuccessfulIndexes"]]
        if self.daemons.manual_steps and not any(fault.kind == FREEZE_PLM for fault in self.plan.streaming + self.plan.copying):
            found.append("manual: a step that no document names")
        return found + self._begun_anew()

    def _begun_anew(self) -> list[str]:
        """One copy is all that there is."""
        found = ["anew: the initial sync was complete before"] if self.daemons.progress.began_anew else []
        if "copying again" in self.daemons.log():
            found.append("anew: the job was copied again")
        return found

    def _differences(self) -> list[str]:
        for side in self.lab.pair:
            side.wait_complete()
        return differences(self.lab.pair, [], [])
