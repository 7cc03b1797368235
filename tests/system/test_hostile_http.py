"""Ten thousand requests that nobody honest sends: nothing breaks, leaks or changes state, and /status keeps answering."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from lab.daemon import Plm

REQUESTS = 10_000
CALLERS = 8
COMMANDS = ("/start", "/pause", "/resume", "/finalize", "/reset")
JSON = b"Content-Type: application/json\r\n"

# Each makes the bytes of one request that must not do anything. None may be a command that is in order.
Attack = Callable[[random.Random], bytes]


def command(rng: random.Random) -> bytes:
    return rng.choice(COMMANDS).encode()


def random_bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([1, 10, 100, 1000, 40_000]))


def tls_hello(rng: random.Random) -> bytes:
    return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500)


def huge_header(rng: random.Random) -> bytes:
    return b"GET /status HTTP/1.1\r\nHost: x\r\nX-Much: " + b"a" * rng.choice([8_000, 40_000, 300_000]) + b"\r\n\r\n"


def many_headers(rng: random.Random) -> bytes:
    lines = b"".join(b"X-%d: %d\r\n" % (n, rng.randrange(1000)) for n in range(rng.choice([100, 3000])))
    return b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\nOrigin: http://evil\r\n" + lines + b"\r\n"


def long_url(rng: random.Random) -> bytes:
    return b"GET /" + b"a" * rng.choice([1000, 20_000, 200_000]) + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def odd_path(rng: random.Random) -> bytes:
    path = rng.choice([b"/../../etc/passwd", b"//finalize", b"/finalize%00", b"/%66inalize/", b"*", b"http://x/reset", b"/%", b"/%zz%"])
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def wrong_method(rng: random.Random) -> bytes:
    method = rng.choice([b"GET", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"CONNECT", b"OPTIONS", b"post", b"\xff\xfe", b"A" * 5000])
    return method + b" " + command(rng) + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def wrong_version(rng: random.Random) -> bytes:
    version = rng.choice([b"HTTP/9.9", b"HTTP/0.9", b"HTTP/1.1.1", b"HTTP/", b"", b"SIP/2.0"])
    return b"POST " + command(rng) + b" " + version + b"\r\nOrigin: http://evil\r\n\r\n"


def bad_length(rng: random.Random) -> bytes:
    length = rng.choice([b"-1", b"99999999999999999999999", b"0x10", b"1e3", b"", b"5, 6", b"18446744073709551615"])
    return b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n" + JSON + b'\r\n{"no":1}'


def two_lengths(rng: random.Random) -> bytes:
    framing = b"Content-Length: 4\r\n" + rng.choice([b"Content-Length: 8\r\n", b"Transfer-Encoding: chunked\r\n"])
    return b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\n" + framing + JSON + b'\r\n{"no":1}\r\n0\r\n\r\n'


def bad_chunks(rng: random.Random) -> bytes:
    chunks = rng.choice(
        [b"zz\r\nabc\r\n", b"-5\r\nabc\r\n", b"ffffffffffffffff\r\nabc", b"5\r\nabc", b"3\nabc\n0\n\n", b"3;x=" + b"y" * 50_000]
    )
    return b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + JSON + b"\r\n" + chunks


def bad_json(rng: random.Random) -> bytes:
    body = rng.choice([b"{", b"[" * 50_000, b'{"a":' * 5_000, b'"', b"\xff\xfe", b"\0", b"nul", b'{"x":1e999999}', rng.randbytes(2000)])
    head = b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body)
    return head + body


def unknown_field(rng: random.Random) -> bytes:
    body = b'{"%s": %d}' % (bytes(rng.choices(b"abcxyz_$.", k=9)), rng.randrange(99))
    return b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body


def large_body(rng: random.Random) -> bytes:
    head = b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: 2000000\r\n\r\n"
    return head + b" " * rng.choice([0, 70_000, 2_000_000])


def foreign_page(rng: random.Random) -> bytes:
    origin = rng.choice([b"https://evil.example", b"null", b"http://127.0.0.1", b"file://"])
    return b"POST " + command(rng) + b" HTTP/1.1\r\nHost: 127.0.0.1:2242\r\nOrigin: " + origin + b"\r\n\r\n"


def pipeline(rng: random.Random) -> bytes:
    """Only the first may be answered; the commands behind it must not be taken."""
    return b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n" + (b"POST /finalize HTTP/1.1\r\nHost: x\r\n\r\n") * rng.randrange(1, 200)


def part_of_a_request(rng: random.Random) -> bytes:
    whole = b"POST " + command(rng) + b" HTTP/1.1\r\nHost: x\r\n" + JSON + b'Content-Length: 20\r\n\r\n{"no": 1'
    return whole[: rng.randrange(len(whole))]


def damaged(rng: random.Random) -> bytes:
    whole = bytearray(b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n")
    for _ in range(rng.randrange(1, 6)):
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    return bytes(whole)


ATTACKS: list[Attack] = [
    *(random_bytes, tls_hello, huge_header, many_headers, long_url, odd_path, wrong_method, wrong_version),
    *(bad_length, two_lengths, bad_chunks, bad_json, unknown_field, large_body, foreign_page, pipeline),
    *(part_of_a_request, damaged),
]


def attack(port: int, data: bytes, rng: random.Random) -> str:
    """Sends it in one of several ways; the status that came back, if any."""
    with socket.socket() as client:
        client.settimeout(20)
        try:
            client.connect(("127.0.0.1", port))
            if rng.random() < 0.2:  # in two pieces
                middle = rng.randrange(len(data) + 1)
                client.sendall(data[:middle])
                client.sendall(data[middle:])
            else:
                client.sendall(data)
            way = rng.random()
            if way < 0.15:
                return "left at once"
            if way < 0.99:  # nothing more will come; the rest keeps the server waiting
                client.shutdown(socket.SHUT_WR)
            answer = client.recv(4096)
            return answer[9:12].decode() if answer.startswith(b"HTTP/1.1 ") else "hung up"
        except OSError as error:
            return type(error).__name__


class Watcher:
    """Asks for the status all the time, as a monitor would, and notes how long that takes at most. The first request
    that fails ends it, counts like the others, and comes out at the end."""

    def __init__(self, plm: Plm) -> None:
        self.plm = plm
        self.slowest = 0.0
        self.count = 0
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        print(f"status: {self.count} requests, the slowest took {self.slowest:.3f} s")
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.02):
                self._ask()
        except BaseException as error:  # handed to the thread that ends us
            self._error = error

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            response = requests.get(self.plm.url + "/status", timeout=10)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.count += 1
        assert response.status_code == 200 and response.json()["state"] == "running"


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def wait_for_descriptors(pid: int, most: int) -> int:
    deadline = time.monotonic() + 30
    while descriptors(pid) > most and time.monotonic() < deadline:
        time.sleep(0.1)
    return descriptors(pid)


@pytest.mark.timeout(300)
def test_ten_thousand_hostile_requests_change_nothing(pair, plm):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    pair.source.admin.shop.orders.insert_many([{"_id": n} for n in range(100)])
    plm.run()
    plm.start()
    plm.wait_synced()
    pid = plm.process.pid
    answers: Counter[str] = Counter()

    def run(first: int, last: int) -> None:
        rng = random.Random(f"{seed} {first}")
        for number in range(first, last):
            kind = ATTACKS[number % len(ATTACKS)]
            answers[f"{kind.__name__}: {attack(plm.port, kind(rng), rng)}"] += 1

    def run_all(first: int, last: int) -> None:
        share = (last - first) // CALLERS
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda n: run(first + n * share, first + (n + 1) * share), range(CALLERS)))

    with Watcher(plm) as watcher:
        run_all(0, REQUESTS // 5)  # buffers and threads' stacks are there now
        open_before, memory_before = descriptors(pid), resident_mib(pid)
        run_all(REQUESTS // 5, REQUESTS)
    for what, count in sorted(answers.items()):
        print(f"{count:6} {what}")
    print(f"memory: {memory_before:.1f} MiB, then {resident_mib(pid):.1f} MiB")

    assert sum(answers.values()) == REQUESTS
    assert plm.process.poll() is None
    assert wait_for_descriptors(pid, open_before + 8) <= open_before + 8
    assert resident_mib(pid) < memory_before + 32
    assert watcher.slowest < 1.0 and watcher.count > 50
    assert plm.log().count("request done") == 1  # the start
    assert "ERROR" not in plm.log()
    # And it still works.
    pair.source.admin.shop.orders.insert_one({"_id": "after"})
    plm.wait_applied(pair.source.cluster_time())
    assert pair.target.admin.shop.orders.count_documents({"_id": "after"}) == 1
    assert plm.status()["state"] == "running"


def test_a_thousand_idle_connections_keep_nobody_out(pair, plm):
    plm.run()
    idlers = []
    try:
        for number in range(1000):
            client = socket.create_connection(("127.0.0.1", plm.port), timeout=10)
            idlers.append(client)
            if number % 2:
                try:
                    client.sendall(b"GET /status HTTP/1.1\r\nX-Slow: ")
                except OSError:
                    pass  # hung up on already
            if number % 50 == 49:
                began = time.monotonic()
                assert requests.get(plm.url + "/status", timeout=10).status_code == 200
                assert time.monotonic() - began < 1.0
        assert wait_for_descriptors(plm.process.pid, 150) <= 150
    finally:
        for client in idlers:
            client.close()
    assert wait_for_descriptors(plm.process.pid, 60) <= 60
