"""TCP proxies in front of one server. A `Proxy` holds commands back: the client's connection breaks, the command arrives
when the test says so, as if it had lain in a queue on its way. A `Wire` is a network that can be cut, slow, or silent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bson

from lab.raw import ANY

HEADER = 16
OP_MSG = 2013
BODY = HEADER + 4 + 1  # flags, kind of section

Command = dict[str, Any]


def read_exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        part = connection.recv_into(view[filled:])
        if not part:
            raise ConnectionError
        filled += part
    return bytes(data)


def read_message(connection: socket.socket) -> bytes:
    header = read_exactly(connection, HEADER)
    return header + read_exactly(connection, struct.unpack_from("<i", header)[0] - HEADER)


def command_of(message: bytes) -> Command:
    if struct.unpack_from("<i", message, 12)[0] != OP_MSG:
        return {}
    return bson.decode(message[BODY : BODY + struct.unpack_from("<i", message, BODY)[0]], ANY)


def more_to_come(answer: bytes) -> bool:
    """Whether the server goes on without being asked, as for those who watch it."""
    return struct.unpack_from("<i", answer, 12)[0] == OP_MSG and bool(answer[HEADER] & 2)


@dataclass
class HeldCommand:
    """On its way, with the connection that leads to the server."""

    message: bytes
    server: socket.socket

    @property
    def command(self) -> Command:
        return command_of(self.message)

    def documents(self) -> list[dict[str, Any]]:
        """Of an insert; plm sends them in its body."""
        return self.command["documents"]

    def arrive(self) -> Command:
        """Lets it arrive; the server's answer, which nobody else waits for."""
        self.server.settimeout(30)
        self.server.sendall(self.message)
        answer = command_of(read_message(self.server))
        self.server.close()
        return answer


class Proxy:
    def __init__(self, port: int) -> None:
        self._upstream = port
        self._wanted: Callable[[str, Command], bool] | None = None
        self._deliver = False
        self._lock = threading.Condition()
        self.held: list[HeldCommand] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_next(self, wanted: Callable[[str, Command], bool]) -> None:
        """The next command, of a name and a body, that is wanted is held back."""
        with self._lock:
            self._wanted, self._deliver = wanted, False

    def lose_answer_of_next(self, wanted: Callable[[str, Command], bool]) -> None:
        """The next such command arrives, and the client's connection breaks while the server works on it."""
        with self._lock:
            self._wanted, self._deliver = wanted, True

    def wait_held(self, timeout: float = 30) -> HeldCommand:
        with self._lock:
            assert self._lock.wait_for(lambda: self.held, timeout), "no such command came"
            return self.held.pop()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._upstream))
        with contextlib.suppress(OSError):
            while True:
                message = read_message(client)
                if self._holds(message, server):
                    client.shutdown(socket.SHUT_RDWR)
                    return
                server.sendall(message)
                # Answers in turn: so the connection of a held command is nobody else's.
                answer = read_message(server)
                client.sendall(answer)
                while more_to_come(answer):
                    answer = read_message(server)
                    client.sendall(answer)
        server.close()
        client.close()

    def _holds(self, message: bytes, server: socket.socket) -> bool:
        command = command_of(message)
        with self._lock:
            if self._wanted is None or not command or not self._wanted(next(iter(command)), command):
                return False
            self._wanted = None
            if not self._deliver:
                self.held.append(HeldCommand(message, server))
                self._lock.notify_all()
        if self._deliver:
            server.sendall(message)
            time.sleep(0.3)  # for the server to have begun with it
        return True


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


# What a wire does to messages on their way.
CUT = "cut"  # connections break, new ones too
DELAY = "delay"  # each message takes longer
SILENT = "silent"  # nothing passes, and nobody is told: a connection of that time stays dead
DEAF = "deaf"  # the same for answers; what is asked is done
LATE = "late"  # connections break; what was asked arrives seconds later
WIRE_TROUBLES = (CUT, DELAY, SILENT, DEAF, LATE)


@dataclass(eq=False)
class _Line:
    """One connection through a wire."""

    client: socket.socket
    server: socket.socket
    dead: str = ""  # the trouble after which nothing passes any more

    def end(self) -> None:
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


class Wire:
    """The way to the member of a replica set on this port. Answers to hello name the members by their wires, which
    `renamed` gives, so that a client that found one wire goes through wires only."""

    NAMES_SERVERS = 4096  # bytes; longer answers are no answers to hello

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.renamed: dict[bytes, bytes] = {}
        self._trouble = ""
        self._seconds = 0.0
        self._lock = threading.Lock()
        self._lines: set[_Line] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def trouble(self, what: str, seconds: float = 0.0) -> None:
        """From now on. `seconds`: how long messages take, or how late they come."""
        with self._lock:
            self._trouble, self._seconds = what, seconds
            broken = list(self._lines) if what == CUT else []
        for line in broken:
            line.end()

    def heal(self) -> None:
        self.trouble("")

    def close(self) -> None:
        self._listener.close()
        self.trouble(CUT)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            if self._trouble == CUT:
                raise ConnectionError
            line = _Line(client, socket.create_connection(("127.0.0.1", self._upstream)))
        except OSError:
            client.close()
            return
        with self._lock:
            self._lines.add(line)
        threading.Thread(target=self._pass, args=(line, self._answer), daemon=True).start()
        self._pass(line, self._request)

    def _pass(self, line: _Line, one: Callable[[_Line], None]) -> None:
        """One direction, until the connection ends."""
        try:
            while True:
                one(line)
        except OSError:
            line.end()
            with self._lock:
                self._lines.discard(line)

    def _request(self, line: _Line) -> None:
        message = read_message(line.client)
        trouble, seconds = self._trouble, self._seconds
        if trouble == LATE and command_of(message).keys() & {"hello", "isMaster", "ismaster"}:
            raise ConnectionError
        if trouble == LATE:
            line.dead = LATE
            line.client.shutdown(socket.SHUT_RDWR)
            time.sleep(seconds)
            line.server.sendall(message)
            time.sleep(1)  # for the server to have begun with it
            raise ConnectionError
        if trouble == DELAY:
            time.sleep(seconds)
        if trouble == SILENT:
            line.dead = SILENT
        if line.dead != SILENT:
            line.server.sendall(message)

    def _answer(self, line: _Line) -> None:
        message = read_message(line.server)
        if self._trouble == DELAY:
            time.sleep(self._seconds)
        if self._trouble in (SILENT, DEAF):
            line.dead = self._trouble
        if line.dead:
            return
        if len(message) < self.NAMES_SERVERS:
            for name, wire in self.renamed.items():
                message = message.replace(name, wire)
        line.client.sendall(message)


def wires_to(ports: list[int]) -> list[Wire]:
    """To the members of a replica set."""
    wires = [Wire(port) for port in ports]
    names = {f"127.0.0.1:{port}".encode(): f"127.0.0.1:{wire.port}".encode() for port, wire in zip(ports, wires)}
    assert all(len(name) == len(wire) for name, wire in names.items()), "a message must keep its length"
    for wire in wires:
        wire.renamed = names
    return wires
