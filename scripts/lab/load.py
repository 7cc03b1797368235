"""Writers that change a collection all the time, as an application does while it is migrated."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

KEYS = 2000  # writers of one collection fight for these _ids, so that changes of one document follow closely


class Writer(threading.Thread):
    """Inserts, updates of all kinds, replacements, deletes and transactions, at about `rate` writes a second.

    Use it as a context manager. An error of a write ends the thread and comes out of stop().
    """

    def __init__(self, client: MongoClient, database: str, collection: str, *, seed: int = 1, rate: float = 200) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.collection: Collection = client[database][collection]
        self.random = random.Random(seed)
        self.pause = 1 / rate
        self.writes: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._ended.set()
        self.join()
        if self.error:
            raise self.error

    def run(self) -> None:
        actions = [self._insert, self._set, self._push, self._unset, self._replace, self._delete, self._transaction]
        weights = [6, 6, 4, 2, 2, 3, 1]
        try:
            while not self._ended.wait(self.pause):
                action = self.random.choices(actions, weights)[0]
                action()
                self.writes[action.__name__.strip("_")] += 1
        except BaseException as error:  # handed to the thread that stops us
            self.error = error

    # -- one write each --------------------------------------------------------------------------------------------
    def _id(self) -> Any:
        number = self.random.randrange(KEYS)
        return f"key-{number}" if number % 3 else number

    def _document(self, key: Any) -> dict[str, Any]:
        number = self.random.randrange(1 << 30)
        return {"_id": key, "n": number, "tags": ["a", "b", number % 7], "sub": {"x": number, "y": {"z": "text" * 5}}}

    def _insert(self) -> None:
        key = self._id()
        self.collection.replace_one({"_id": key}, self._document(key), upsert=True)

    def _set(self) -> None:
        self.collection.update_one({"_id": self._id()}, {"$inc": {"n": 1}, "$set": {"sub.y.w": time.time(), "new": 1}})

    def _push(self) -> None:
        change = {"$push": {"tags": {"$each": [self.random.random()], "$slice": -5}}}
        self.collection.update_one({"_id": self._id(), "tags": {"$type": "array"}}, change)

    def _unset(self) -> None:
        self.collection.update_one({"_id": self._id()}, {"$unset": {"sub.y": 1}})

    def _replace(self) -> None:
        self.collection.replace_one({"_id": self._id()}, {"replaced": self.random.random(), "tags": []})

    def _delete(self) -> None:
        self.collection.delete_one({"_id": self._id()})

    def _transaction(self) -> None:
        def body(session: Any) -> None:
            for _ in range(3):
                key = self._id()
                self.collection.replace_one({"_id": key}, self._document(key), upsert=True, session=session)
            self.collection.delete_one({"_id": self._id()}, session=session)

        with self.client.start_session() as session:
            session.with_transaction(body)


def fill(client: MongoClient, database: str, collection: str, count: int, *, size: int = 200) -> None:
    """`count` documents of about `size` bytes with ascending integer _ids."""
    target, filler = client[database][collection], "x" * max(0, size - 60)
    for first in range(0, count, 5000):
        numbers = range(first, min(count, first + 5000))
        target.insert_many([{"_id": n, "n": n, "group": n % 10, "filler": filler} for n in numbers], ordered=False)


def insert_20_mb(client: MongoClient, session: ClientSession) -> None:
    """4,000 documents in t.large: of one transaction, more than one oplog entry holds."""
    for first in range(0, 4000, 500):
        documents = [{"_id": n, "filler": "x" * 5000} for n in range(first, first + 500)]
        client.t.large.insert_many(documents, session=session)
