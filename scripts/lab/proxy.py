"""A TCP proxy in front of one server that holds commands back: the client's connection breaks, the command arrives when
the test says so, as if it had lain in a queue on its way."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bson

HEADER = 16
OP_MSG = 2013
BODY = HEADER + 4 + 1  # flags, kind of section

Command = dict[str, Any]


def read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def read_message(connection: socket.socket) -> bytes:
    header = read_exactly(connection, HEADER)
    return header + read_exactly(connection, struct.unpack_from("<i", header)[0] - HEADER)


def command_of(message: bytes) -> Command:
    if struct.unpack_from("<i", message, 12)[0] != OP_MSG:
        return {}
    return bson.decode(message[BODY : BODY + struct.unpack_from("<i", message, BODY)[0]])


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
        self._lock = threading.Condition()
        self.held: list[HeldCommand] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_next(self, wanted: Callable[[str, Command], bool]) -> None:
        """The next command, of a name and a body, that is wanted is held back."""
        with self._lock:
            self._wanted = wanted

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
            self.held.append(HeldCommand(message, server))
            self._lock.notify_all()
            return True


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
