"""What the benchmarks put into the source, the same each time."""
import concurrent.futures
import datetime
import random
import time

import bson
from pymongo import DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateOne

WORDS = ["".join(random.Random(i).choices("abcdefghijklmnopqrstuvwxyz", k=3 + i % 9)) for i in range(20000)]
YEAR = datetime.datetime(2024, 1, 1)


def order(r, i):
    """About 700 bytes, nested, with arrays."""
    items = [{"sku": r.choice(WORDS), "qty": r.randrange(9), "price": r.randrange(99999) / 100}
             for _ in range(r.randrange(1, 8))]
    return {"_id": bson.ObjectId(), "order_no": i, "items": items,
            "user": {"id": r.randrange(1 << 40), "name": r.choice(WORDS), "tags": r.sample(WORDS, 4)},
            "created": YEAR + datetime.timedelta(seconds=r.randrange(30000000)),
            "note": " ".join(r.choices(WORDS, k=r.randrange(20, 60)))}


def tick(r, i):
    """About 50 bytes."""
    return {"_id": i, "k": r.randrange(1 << 30), "s": r.choice(WORDS), "t": YEAR + datetime.timedelta(seconds=i)}


def blob(r, i):
    """About 45 KB."""
    return {"_id": f"doc-{i:08d}", "body": r.randbytes(r.randrange(4000, 40000)).hex(), "rev": i % 7}


# collection, document, share of the bytes, documents per insert, secondary indexes
COLLECTIONS = [("shop", "orders", order, 0.6, 2000, ["order_no", [("user.id", 1), ("created", -1)], "items.sku"]),
               ("events", "ticks", tick, 0.2, 5000, ["k", "t"]),
               ("files", "blobs", blob, 0.2, 100, ["rev"])]


def load_clone(args, source):
    client = source.client(w=1)
    for db, name, make, share, count, indexes in COLLECTIONS:
        r, size, i = random.Random(7), 0, 0
        while size < args.mb * 1e6 * share:
            batch = [make(r, i + j) for j in range(count)]
            size += sum(len(bson.encode(d)) for d in batch[:20]) / 20 * count
            i += count
            client[db][name].insert_many(batch, ordered=False)
        for keys in indexes:
            client[db][name].create_index(keys)


def load_databases(args, source):
    client = source.client(w=1)
    documents = [{"_id": i, "text": WORDS[i]} for i in range(10)]

    def load(d):
        for c in range(10):
            client[f"db{d:04d}"][f"c{c}"].insert_many(documents)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for first in range(0, args.databases, 200):
            list(pool.map(load, range(first, min(first + 200, args.databases))))
            close_idle_files(client)


def close_idle_files(client):
    """Waits until the server has closed what was written, which a checkpoint has to precede."""
    client.admin.command("fsync")
    while client.admin.command("serverStatus")["wiredTiger"]["connection"]["files currently open"] > 2000:
        time.sleep(0.5)


def load_indexes(args, source):
    db = source.client(w=1)["many"]
    for c in range(args.collections):
        db[f"c{c}"].create_indexes([IndexModel([(f"f{i}", 1)]) for i in range(50)])
        db[f"c{c}"].insert_many([{"_id": j, **{f"f{i}": i * j for i in range(50)}} for j in range(100)])


def measurements(first, count):
    return [{"t": YEAR + datetime.timedelta(seconds=i), "m": {"sensor": i % 50}, "value": i % 1000 / 7, "unit": "K"}
            for i in range(first, first + count)]


def load_series(args, source):
    db = source.client(w=1)["series"]
    db.create_collection("s", timeseries={"timeField": "t", "metaField": "m", "granularity": "minutes"})
    db["s"].create_index([("m.sensor", 1), ("t", 1)])
    for first in range(0, args.measurements, 5000):
        db["s"].insert_many(measurements(first, min(5000, args.measurements - first)), ordered=False)


def mixed_id(i):
    """Of every kind that an _id may be; none twice."""
    kinds = (i, i + 0.5, bson.Int64(i + 10**12), bson.Decimal128(f"{i}.25"), f"id-{i}", bson.ObjectId(),
             YEAR + datetime.timedelta(seconds=i), bson.Binary(i.to_bytes(8, "big")), bson.Timestamp(i, 1), {"a": i, "b": "x"})
    return kinds[i % len(kinds)]


def load_ids(args, source):
    db = source.client(w=1)["ids"]
    for first in range(0, args.documents, 10000):
        numbers = range(first, min(first + 10000, args.documents))
        db["objectids"].insert_many([{"_id": bson.ObjectId(), "k": i, "text": WORDS[i % 20000]} for i in numbers], ordered=False)
        db["mixed"].insert_many([{"_id": mixed_id(i), "k": i, "text": WORDS[i % 20000]} for i in numbers], ordered=False)


def load_changes(source):
    client = source.client(w=1)
    client.drop_database("changes")
    r = random.Random(3)
    for c in range(4):
        collection = client["changes"][f"c{c}"]
        collection.insert_many([tick(r, i) | {"pad": "x" * 300} for i in range(5000)])
        collection.create_index("k")


def make_changes(source, count):
    """40 % inserts, 40 % updates, 10 % replacements, 10 % deletions, always the same. Returns the last one's time."""
    client = source.client(w=1)
    r = random.Random(1)
    live, next_id = [list(range(5000)) for _ in range(4)], [5000] * 4
    for _ in range(count // 1000):
        c, ops = r.randrange(4), []
        for _ in range(1000):
            kind, ids = r.random(), live[c]
            if kind < 0.4:
                ops.append(InsertOne(tick(r, next_id[c]) | {"pad": "x" * r.randrange(100, 600)}))
                ids.append(next_id[c])
                next_id[c] += 1
            elif kind < 0.8:
                change = {"$set": {"k": r.randrange(1 << 30), "sub.a": r.random()}, "$inc": {"n": 1}}
                ops.append(UpdateOne({"_id": r.choice(ids)}, change))
            elif kind < 0.9:
                i = r.choice(ids)
                ops.append(ReplaceOne({"_id": i}, tick(r, i) | {"pad": "y" * r.randrange(100, 600)}))
            else:
                i = r.randrange(len(ids))
                ids[i], ids[-1] = ids[-1], ids[i]
                ops.append(DeleteOne({"_id": ids.pop()}))
        client["changes"][f"c{c}"].bulk_write(ops)
    end = client.admin.command("ping")["operationTime"]
    return end.time, end.inc
