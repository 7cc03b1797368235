#!/usr/bin/env python3
"""Records what a real server makes of random updates and of their diffs.

Prints one case per line, as relaxed extended JSON:
  {before, diff, after}  an update of the document `before` left this diff in the
                         oplog and made `after`; or the diff was applied to
                         another document, through applyOps, and made `after`
  {before, diff, error}  applyOps refused the diff with this code

diffs.jsonl was made with mongod 6.0.5:
  record_diffs.py mongodb://127.0.0.1:PORT/?directConnection=true --seed 1 --cases 240

The server must be the primary of a replica set that nobody needs: the database
`diffs` is dropped, and a wrong diff may stop the server.
"""
import argparse
import random

import pymongo
from bson import json_util
from bson.codec_options import CodecOptions
from bson.son import SON

NAMES = ["a", "b", "c", "d", "s", "0", "x.y", ""]
CODEC = CodecOptions(document_class=SON)


def padded(document_id, fields):
    """The server writes a diff only when it is smaller than the document."""
    return SON([("_id", document_id), ("padding", "x" * 400)] + list(fields.items()))


def random_value(rng, depth=0):
    kind = rng.randrange(8 if depth < 3 else 5)
    if kind < 2:
        return rng.randrange(100)
    if kind == 2:
        return "text%d" % rng.randrange(10)
    if kind == 3:
        return rng.random() < 0.5
    if kind == 4:
        return rng.choice([None, 0.25, 2.5])
    if kind < 7:
        return random_fields(rng, depth + 1)
    return [random_value(rng, depth + 1) for _ in range(rng.randrange(5))]


def random_fields(rng, depth=0):
    names = [name for name in NAMES if rng.random() < 0.4]
    rng.shuffle(names)
    return SON((name, random_value(rng, depth)) for name in names)


def mutated(rng, value, depth=0):
    """The value after a random update."""
    if isinstance(value, SON):
        out = SON()
        for name, old in value.items():
            choice = rng.random()
            if choice < 0.1:
                continue
            out[name] = old if choice < 0.5 else mutated(rng, old, depth + 1)
        for name in NAMES:
            if name not in out and rng.random() < 0.1:
                out[name] = random_value(rng, depth + 1)
        return out
    if isinstance(value, list):
        out = [old if rng.random() < 0.6 else mutated(rng, old, depth + 1) for old in value]
        choice = rng.random()
        if choice < 0.3:
            return out[: rng.randrange(len(out) + 1)]
        if choice < 0.6:
            out.extend(random_value(rng, depth + 1) for _ in range(rng.randrange(1, 3)))
        return out
    return random_value(rng, depth)


class Recorder:
    def __init__(self, uri, seed):
        self.client = pymongo.MongoClient(uri)
        self.rng = random.Random(seed)
        self.client.drop_database("diffs")
        self.collection = self.client.diffs.get_collection("c", codec_options=CODEC)
        self.oplog = self.client.local.get_collection("oplog.rs", codec_options=CODEC)
        self.next_id = 0

    def insert(self, fields):
        self.next_id += 1
        self.collection.insert_one(padded(self.next_id, fields))
        return self.next_id

    def fields(self, document_id):
        document = self.collection.find_one({"_id": document_id})
        del document["_id"]
        del document["padding"]
        return document

    def update(self, before, after):
        """The diff of the oplog; None when the server wrote no diff."""
        document_id = self.insert(before)
        before_update = self.client.admin.command("hello")["lastWrite"]["opTime"]["ts"]
        pipeline = [{"$replaceWith": {"$literal": padded(document_id, after)}}]
        self.collection.update_one({"_id": document_id}, pipeline)
        entry = self.oplog.find_one({"ts": {"$gt": before_update}, "ns": "diffs.c", "o2._id": document_id, "op": "u"})
        assert self.fields(document_id) == after
        return entry["o"].get("diff") if entry else None

    def apply(self, before, diff):
        """The fields that applyOps makes, or the code of its error."""
        document_id = self.insert(before)
        operation = SON([("op", "u"), ("ns", "diffs.c"), ("o2", {"_id": document_id}),
                         ("o", SON([("$v", 2), ("diff", diff)]))])
        try:
            self.client.admin.command("applyOps", [operation], allowAtomic=False, alwaysUpsert=False)
        except pymongo.errors.OperationFailure as error:
            return None, error.code
        return self.fields(document_id), None


# What real diffs do not hold, and edges that random cases may miss.
CHOSEN = [
    ({"a": 1}, {}),
    ({"a": 1}, {"x": {"a": 1}}),
    ({"a": 1}, {"sa": {}}),
    ({"a": {"b": 1}}, {"sa": {}}),
    ({"a": 1}, {"i": {"b": 1}, "u": {"a": 2}}),
    ({"a": 1}, {"u": {"a": 2}, "d": {"b": False}}),
    ({"a": [1, 2, 3]}, {"sa": {"a": True, "u1": 9, "l": 2}}),
    ({"a": [1, 2, 3]}, {"sa": {"a": True, "l": 0}}),
    ({"a": [1, 2, 3]}, {"sa": {"a": True, "l": 5}}),
    ({"a": [1, 2, 3]}, {"sa": {"a": True, "l": 6, "u4": 9}}),
    ({"a": [1, 2, 3]}, {"sa": {"a": True, "u6": 9}}),
    ({"a": [1, 2, 3]}, {"sa": {"a": True, "s5": {"u": {"q": 1}}}}),
    ({"a": 1, "b": 2}, {"u": {"z": 9, "b": 8}, "i": {"y": 9, "a": 1}}),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=240)
    options = parser.parse_args()
    recorder = Recorder(options.uri, options.seed)
    rng = recorder.rng

    def report(**case):
        print(json_util.dumps(case, json_options=json_util.RELAXED_JSON_OPTIONS))

    def apply_and_report(before, diff):
        after, code = recorder.apply(before, diff)
        if code is None:
            report(before=before, diff=diff, after=after)
        else:
            report(before=before, diff=diff, error=code)

    for before, diff in CHOSEN:
        apply_and_report(SON(before), SON(diff))
    cases = 0
    while cases < options.cases:
        before = random_fields(rng)
        after = mutated(rng, before)
        diff = recorder.update(before, after)
        if diff is None:
            continue
        report(before=before, diff=diff, after=after)
        # The same diff on what an update later has made of the document, and on a stranger.
        apply_and_report(mutated(rng, after), diff)
        apply_and_report(random_fields(rng), diff)
        cases += 3


if __name__ == "__main__":
    main()
