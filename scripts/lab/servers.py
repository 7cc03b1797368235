"""Replica sets of real mongods, one or several each, with authorisation, on free ports and with small caches."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymongo
from pymongo.errors import PyMongoError, WriteConcernError

from .certificates import Certificate

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_DATABASES = frozenset({"admin", "config", "local"})
# A transaction that changes more than a tenth of the cache may be refused (388): so this must hold two of 16 MB.
CACHE_GIGABYTES = "0.5"
STATE_DATABASE = "percona_link_mongodb"
# No statistics of the server for its makers; and the least work that it allows for a login (a third of the usual), which
# is most of what a plm costs that is started for a few documents.
CHEAPER = {"diagnosticDataCollectionEnabled": "false", "scramSHA256IterationCount": 5000}

# The least that plm's two users need; README names the same roles.
SOURCE_ROLES = ("backup", "clusterMonitor", "readAnyDatabase")
TARGET_ROLES = ("restore", "clusterMonitor", "readWriteAnyDatabase")


@dataclass(frozen=True)
class User:
    name: str
    password: str
    roles: tuple[str, ...] = ()


ADMIN = User("administrator", "administrator", ("root",))
# Every character that a URI, a shell or a log could get wrong is in plm's own password.
PLM_PASSWORD = "p@ss:w/rd%#?[é]&=+ '\"$x"


_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody listens on, and none of those that outgoing connections take by themselves. No other process
    that asks here gets it as long as this one lives."""
    for _ in range(1000):
        port = random.randint(10_000, 32_000)
        reservation = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                reservation.bind(f"\0plm-lab-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:  # somebody has it
                reservation.close()
                continue
        _reserved.append(reservation)
        return port
    raise OSError("no free port")


def acknowledged_note(client: pymongo.MongoClient, *, milliseconds: int) -> dict[str, Any]:
    """The reply to a note in the oplog that a majority has. Raises PyMongoError."""
    concern = {"w": "majority", "wtimeout": milliseconds}
    reply = client.admin.command("appendOplogNote", data={"note": "test"}, writeConcern=concern)
    if error := reply.get("writeConcernError"):  # which the driver does not raise for a command of this kind
        raise WriteConcernError(error["errmsg"])
    return reply


def mongod_path() -> Path:
    path = Path(os.environ.get("PLM_MONGOD", ROOT / ".cache/bin/mongod"))
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run scripts/install-dependencies")
    return path


def uri(port: int | Iterable[int], set_name: str | None, user: User | None, **options: Any) -> str:
    """A connection string, with every special character of the user escaped."""
    hosts = ",".join(f"127.0.0.1:{one}" for one in ([port] if isinstance(port, int) else port))
    login = f"{quote(user.name, safe='')}:{quote(user.password, safe='')}@" if user else ""
    query = dict(options)
    if user:
        query["authSource"] = "admin"
    if set_name:
        query["replicaSet"] = set_name
    return f"mongodb://{login}{hosts}/?" + "&".join(f"{key}={value}" for key, value in query.items())


class ReplicaSet:
    """One mongod. `set_name=None` makes it a standalone server, `key_file=False` leaves authorisation off; with `tls`,
    a certificate of `authority`, it speaks nothing but TLS, and clients may authenticate by certificates of theirs."""

    def __init__(
        self,
        folder: Path,
        set_name: str | None,
        *,
        plm_roles: tuple[str, ...] = (),
        key_file: bool = True,
        parameters: dict[str, Any] | None = None,
        tls: Certificate | None = None,
        authority: Path | None = None,
        oplog_megabytes: int = 256,
        options: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.tls = tls
        # What every connection string needs beside the user.
        self.client_options = {"tls": "true", "tlsCAFile": str(authority)} if tls else {}
        self.set_name = set_name
        self.port = free_port()
        self.key_file = key_file
        self.oplog_megabytes = oplog_megabytes
        self.options = options  # more words for the command line
        self.plm_user = User("plm", PLM_PASSWORD, plm_roles)
        self.parameters = {**CHEAPER, **(parameters or {})}
        self.environment: dict[str, str] = {}  # beside that of this process
        self.process: subprocess.Popen[bytes] | None = None
        self._client: pymongo.MongoClient | None = None

    # -- life ------------------------------------------------------------------------------------------------------
    def create(self) -> ReplicaSet:
        """Starts the server on an empty folder, initiates the set and makes the users."""
        self.prepare(secrets.token_hex(32))
        self.start()
        self._initiate([{"_id": 0, "host": f"127.0.0.1:{self.port}"}], {})
        return self

    def prepare(self, secret: str) -> None:
        """An empty folder, with the key that the members of a set share."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "data").mkdir(parents=True)
        key = self.folder / "key"
        key.write_text(secret)
        key.chmod(0o400)

    def _initiate(self, members: list[dict[str, Any]], settings: dict[str, Any]) -> None:
        with pymongo.MongoClient(uri(self.port, None, None, **self.client_options), directConnection=True) as bare:
            if self.set_name:
                bare.admin.command("replSetInitiate", {"_id": self.set_name, "members": members, "settings": settings})
                self._wait_until_writable(bare)
            if self.key_file:  # the first user comes in through the localhost exception
                bare.admin.command("createUser", ADMIN.name, pwd=ADMIN.password, roles=list(ADMIN.roles))
        if self.key_file:
            self.add_user(self.plm_user)

    def start(self) -> None:
        """Starts the process and waits until it accepts connections."""
        command = [str(mongod_path()), "--dbpath", str(self.folder / "data"), "--port", str(self.port)]
        command += ["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", CACHE_GIGABYTES, "--nounixsocket"]
        if self.set_name:
            command += ["--replSet", self.set_name, "--oplogSize", str(self.oplog_megabytes)]
        if self.key_file:
            command += ["--keyFile", str(self.folder / "key")]
        if self.tls:
            command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self.tls.both)]
            command += ["--tlsCAFile", self.client_options["tlsCAFile"], "--tlsAllowConnectionsWithoutCertificates"]
        command += self.options
        for name, value in self.parameters.items():
            command += ["--setParameter", f"{name}={value}"]
        with open(self.folder / "mongod.log", "ab") as log:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        deadline = time.monotonic() + 60
        while not self._accepts_connections():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mongod did not start, see {self.folder}/mongod.log")
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9; the data stays."""
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Starts a killed server again and waits until it is primary."""
        self.start()
        self._wait_until_writable(self.admin)

    def freeze(self) -> None:
        """The server keeps its connections and answers nothing."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def heal(self) -> None:
        """Makes the server as good as new after whatever was done to it."""
        if self.process is None:
            self.restart()
        self.thaw()
        if "enableTestCommands" in self.parameters:
            self.fail_point("failCommand", "off")
        # The transaction of a killed plm would keep its locks for a minute.
        self.admin.admin.command("killAllSessions", [])

    def destroy(self) -> None:
        if self._client:
            self._client.close()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- connections -----------------------------------------------------------------------------------------------
    def uri(self, user: User | None = None, **options: Any) -> str:
        user = (user or self.plm_user) if self.key_file else None
        return uri(self.ports, self.set_name, user, **{**self.client_options, **options})

    @property
    def ports(self) -> list[int]:
        return [self.port]

    def x509_uri(self, client: Certificate, **options: Any) -> str:
        """For a user of $external who shows this certificate."""
        login = {"authMechanism": "MONGODB-X509", "authSource": "$external", "tlsCertificateKeyFile": str(client.both)}
        return uri(self.port, self.set_name, None, **{**self.client_options, **login, **options})

    @property
    def admin(self) -> pymongo.MongoClient:
        """A client that may do everything; one for the life of the server."""
        if self._client is None:
            address = uri(self.ports, self.set_name, ADMIN if self.key_file else None, **self.client_options)
            self._client = pymongo.MongoClient(address, uuidRepresentation="standard", tz_aware=True)
        return self._client

    def add_user(self, user: User) -> None:
        self.admin.admin.command("createUser", user.name, pwd=user.password, roles=list(user.roles))

    def add_x509_user(self, client: Certificate, roles: tuple[str, ...]) -> None:
        granted = [{"role": role, "db": "admin"} for role in roles]
        self.admin["$external"].command("createUser", client.subject, roles=granted)

    # -- content ---------------------------------------------------------------------------------------------------
    def databases(self) -> list[str]:
        """The databases of users, without those of the server and of plm."""
        names = self.admin.list_database_names()
        return sorted(name for name in names if name not in SYSTEM_DATABASES and name != STATE_DATABASE)

    def wipe(self) -> None:
        """Drops everything that is not the server's own."""
        for name in [*self.databases(), STATE_DATABASE]:
            self.admin.drop_database(name)

    def fail_point(self, name: str, mode: Any, **data: Any) -> None:
        self.admin.admin.command("configureFailPoint", name, mode=mode, data=data)

    def cluster_time(self):
        """The time of a write made now: everything before it is older."""
        return self.admin.admin.command("appendOplogNote", data={"note": "test"})["operationTime"]

    def _accepts_connections(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _wait_until_writable(self, client: pymongo.MongoClient) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return
            except PyMongoError:
                pass  # elections and restarts answer with all kinds of errors
            time.sleep(0.05)
        raise TimeoutError(f"no primary on port {self.port}, see {self.folder}/mongod.log")


class MemberSet(ReplicaSet):
    """A replica set of several mongods, `members`, each with a folder, a port and a process of its own. They elect a new
    primary within seconds. `admin` follows the primary; `direct` speaks to one member whatever it is."""

    ELECTION = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}

    def __init__(
        self,
        folder: Path,
        set_name: str,
        *,
        plm_roles: tuple[str, ...] = (),
        parameters: dict[str, Any] | None = None,
        members: int = 3,
    ) -> None:
        super().__init__(folder, set_name, plm_roles=plm_roles, parameters=parameters)
        self.members = [
            ReplicaSet(folder / f"member{number}", set_name, parameters=parameters) for number in range(members)
        ]
        self.port = self.members[0].port
        self._direct: dict[tuple[int, User | None, int], pymongo.MongoClient] = {}

    def create(self) -> MemberSet:
        secret = secrets.token_hex(32)
        for member in self.members:
            member.prepare(secret)
        self._each(ReplicaSet.start)
        hosts = [{"_id": number, "host": f"127.0.0.1:{member.port}"} for number, member in enumerate(self.members)]
        self._initiate(hosts, self.ELECTION)
        self.wait_complete()
        return self

    def _each(self, action: Callable[[ReplicaSet], Any], members: Iterable[ReplicaSet] | None = None) -> None:
        with ThreadPoolExecutor(len(self.members)) as pool:
            list(pool.map(action, self.members if members is None else members))

    # -- life ------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Those that do not run."""
        self._each(ReplicaSet.start, [member for member in self.members if member.process is None])

    def kill(self) -> None:
        for member in self.members:
            member.kill()

    def restart(self) -> None:
        self.start()
        self.wait_complete()

    def freeze(self) -> None:
        for member in self.members:
            member.freeze()

    def thaw(self) -> None:
        for member in self.members:
            member.thaw()

    def heal(self) -> None:
        for member in self.members:
            if member.process:
                member.thaw()
        self.restart()
        if "enableTestCommands" in self.parameters:
            self.fail_point("failCommand", "off")
        self.admin.admin.command("killAllSessions", [])

    def destroy(self) -> None:
        for client in self._direct.values():
            client.close()
        super().destroy()

    # -- members ---------------------------------------------------------------------------------------------------
    @property
    def ports(self) -> list[int]:
        return [member.port for member in self.members]

    def direct(self, member: ReplicaSet, user: User | None = ADMIN, milliseconds: int = 2000) -> pymongo.MongoClient:
        """It gives up after so long when the member does not answer."""
        key = (member.port, user, milliseconds)
        if key not in self._direct:
            limits = dict.fromkeys(("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS"), milliseconds)
            self._direct[key] = pymongo.MongoClient(uri(member.port, None, user, directConnection="true", **limits))
        return self._direct[key]

    def fail_point(self, name: str, mode: Any, **data: Any) -> None:
        """On every member, as any of them may be the next primary."""
        for member in self.members:
            self.direct(member).admin.command("configureFailPoint", name, mode=mode, data=data)

    def primary(self, *, unlike: Any = None) -> tuple[ReplicaSet, Any] | None:
        """Who says to be primary, and the number of its election; not that of the election `unlike`."""
        for member in self.members:
            with contextlib.suppress(PyMongoError):
                hello = self.direct(member, None, 300).admin.command("hello")
                if hello.get("isWritablePrimary") and hello["electionId"] != unlike:
                    return member, hello["electionId"]
        return None

    def wait_primary(self, *, unlike: Any = None, timeout: float = 60) -> tuple[ReplicaSet, Any]:
        deadline = time.monotonic() + timeout
        while (found := self.primary(unlike=unlike)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no primary, see {self.folder}")
            time.sleep(0.02)
        return found

    def wait_complete(self, timeout: float = 90) -> None:
        """Until there is one primary, and all others are secondaries."""
        deadline = time.monotonic() + timeout
        while sorted(self._states()) != ["PRIMARY"] + ["SECONDARY"] * (len(self.members) - 1):
            if time.monotonic() > deadline:
                raise TimeoutError(f"members are {self._states()}, see {self.folder}")
            time.sleep(0.05)

    def _states(self) -> list[str]:
        """As each member sees itself."""
        return [self._state(member) for member in self.members]

    def _state(self, member: ReplicaSet) -> str:
        try:
            status = self.direct(member).admin.command("replSetGetStatus")
        except PyMongoError as error:
            return type(error).__name__
        return next(one["stateStr"] for one in status["members"] if one.get("self"))


@dataclass
class Pair:
    """A source and a target."""

    source: ReplicaSet
    target: ReplicaSet

    def __iter__(self):
        return iter((self.source, self.target))

    def wipe(self) -> None:
        for side in self:
            side.wipe()

    def destroy(self) -> None:
        for side in self:
            side.destroy()


def create_pair(folder: Path, parameters: dict[str, Any] | None = None) -> Pair:
    """Two replica sets with authorisation, and on each the user plm with the least roles."""
    source = ReplicaSet(folder / "source", "rs_source", plm_roles=SOURCE_ROLES, parameters=parameters)
    target = ReplicaSet(folder / "target", "rs_target", plm_roles=TARGET_ROLES, parameters=parameters)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ReplicaSet.create, (source, target)))
    return Pair(source, target)
