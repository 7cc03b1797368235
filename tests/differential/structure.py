"""Random DDL commands, and a model of what probably exists.

The model follows the list of operations, not the servers: writers run side by side, so a command may meet another state
than the one it was made for, and fails or does something else. The model only keeps most commands meaningful.
"""

from __future__ import annotations

import datetime
from typing import Any

from .values import Values
from .writes import Command, Writes

DATABASES = ("d1", "d2", "D3")
NAMES = ("a", "b", "c", "t", "dotted.name", "ünï cödé")
VIEW_NAMES = ("v", "w")
SERIES_NAMES = ("series", "measures")
Name = tuple[str, str]  # database, collection
Located = tuple[str, Command]  # the database a command is sent to


class Structure:
    def __init__(self, values: Values, writes: Writes) -> None:
        self.values = values
        self.writes = writes
        self.rng = values.rng
        self.features = values.features
        self.kinds: dict[Name, str] = {}  # plain, capped, clustered, series, view
        self.writable_kinds = ("plain", "plain", "clustered", "capped")

    # -- names ---------------------------------------------------------------------------------------------------------
    def database(self) -> str:
        return self.rng.choices(DATABASES, (5, 3, 1))[0]

    def new_name(self) -> Name:
        return self.database(), self.rng.choice(NAMES)

    def existing(self, *kinds: str) -> Name:
        """One of these kinds, or any name at all when there is none."""
        found = [name for name, kind in self.kinds.items() if kind in (kinds or ("plain",))]
        return self.rng.choice(found) if found and self.rng.random() < 0.95 else self.new_name()

    def writable(self) -> Name:
        """What ordinary writes may go to; sometimes a name that does not exist yet."""
        if self.rng.random() < 0.08:
            name = self.new_name()
            self.kinds.setdefault(name, "plain")
            return name
        return self.existing(*self.writable_kinds)

    # -- one command ---------------------------------------------------------------------------------------------------
    def command(self) -> Located | None:
        """Of a random kind that the features allow."""
        makers = {
            "create": (6, self.create),
            "drop": (4, self.drop),
            "drop-database": (1, self.drop_database),
            "rename": (6, self.rename),
            "rename-across": (2, self.rename_across),
            "out": (2, self.out),
            "merge": (2, self.merge),
            "map-reduce": (1, self.map_reduce),
            "indexes": (8, self.indexes),
            "coll-mod": (5, self.coll_mod),
            "views": (3, self.views),
            "convert-to-capped": (2, self.convert_to_capped),
            "timeseries": (3, self.timeseries),
            "system-js": (2, self.system_js),
        }
        possible = [maker for name, maker in makers.items() if name in self.features]
        if not possible:
            return None
        _, make = self.rng.choices(possible, [weight for weight, _ in possible])[0]
        return make()

    def documents(self) -> Located | None:
        """Writes that go elsewhere than the others: measurements, functions."""
        series = [name for name, kind in self.kinds.items() if kind == "series"]
        if series and "timeseries" in self.features:
            name = self.rng.choice(series)
            return name[0], self._measure(name[1])
        return self.system_js() if "system-js" in self.features else None

    # -- collections ---------------------------------------------------------------------------------------------------
    def create(self) -> Located:
        name = self.new_name()
        command: Command = {"create": name[1]}
        kind = "plain"
        if "capped" in self.features and self.rng.random() < 0.25:
            kind = "capped"
            command |= {"capped": True, "size": self.rng.choice((4096, 5000, 100_000))}
            if self.rng.random() < 0.7:
                command["max"] = self.rng.choice((3, 10, 100))
        elif "clustered" in self.features and self.rng.random() < 0.25:
            kind = "clustered"
            command["clusteredIndex"] = {"key": {"_id": 1}, "unique": True}
            if self.rng.random() < 0.5:
                command["clusteredIndex"]["name"] = "clustered ünique"
            if self.rng.random() < 0.3:
                command["expireAfterSeconds"] = 10**9
        if "collations" in self.features and self.rng.random() < 0.4:
            command["collation"] = self._collation()
        if "validators" in self.features and self.rng.random() < 0.4:
            command |= self._validator()
        if "options" in self.features and self.rng.random() < 0.4:
            engine = {"wiredTiger": {"configString": "block_compressor=zlib"}}
            command |= self.rng.choice(({"storageEngine": engine}, {"indexOptionDefaults": {"storageEngine": engine}}))
        if "pre-images" in self.features and kind != "capped" and self.rng.random() < 0.5:
            command["changeStreamPreAndPostImages"] = {"enabled": True}
        self.kinds.setdefault(name, kind)
        return name[0], command

    def _collation(self) -> dict[str, Any]:
        return self.rng.choice(
            ({"locale": "en", "strength": 2}, {"locale": "fr", "backwards": True}, {"locale": "de", "numericOrdering": True})
        )

    def _validator(self) -> dict[str, Any]:
        rules: list[dict[str, Any]] = [
            {"n": {"$exists": True}},
            {"$jsonSchema": {"bsonType": "object", "properties": {"n": {"bsonType": "int"}}}},
            {"$expr": {"$gt": ["$n", 0]}},
        ]
        out: dict[str, Any] = {"validator": self.rng.choice(rules)}
        if self.rng.random() < 0.6:
            out |= {"validationLevel": self.rng.choice(("off", "moderate", "strict"))}
            out |= {"validationAction": self.rng.choice(("warn", "error"))}
        return out

    def drop(self) -> Located:
        kinds = ["plain"] * 6 + ["capped", "clustered", "view", "series"]
        name = self.existing(self.rng.choice(kinds))
        self.kinds.pop(name, None)
        return name[0], {"drop": name[1]}

    def drop_database(self) -> Located:
        database = self.database()
        self.kinds = {name: kind for name, kind in self.kinds.items() if name[0] != database}
        return database, {"dropDatabase": 1}

    def rename(self) -> Located:
        old = self.existing("plain", "plain", "capped", "clustered")
        return self._rename(old, (old[0], self.rng.choice(NAMES)))

    def rename_across(self) -> Located:
        return self._rename(self.existing("plain", "capped", "clustered"), self.new_name())

    def _rename(self, old: Name, new: Name) -> Located:
        drop_target = self.rng.random() < 0.5
        if old in self.kinds and (drop_target or new not in self.kinds):
            self.kinds[new] = self.kinds.pop(old)
        return "admin", {"renameCollection": ".".join(old), "to": ".".join(new), "dropTarget": drop_target}

    def convert_to_capped(self) -> Located:
        name = self.existing("plain")
        size = self.rng.choice((4096, 20_000, 1_000_000))
        if self.rng.random() < 0.5:
            self.kinds[name] = "capped"
            return name[0], {"convertToCapped": name[1], "size": size}
        new = self.rng.choice(NAMES)
        self.kinds.setdefault((name[0], new), "capped")
        return name[0], {"cloneCollectionAsCapped": name[1], "toCollection": new, "size": size}

    # -- results of queries --------------------------------------------------------------------------------------------
    def _some_documents(self) -> list[dict[str, Any]]:
        return self.rng.choice(([], [{"$match": {"_id": {"$lt": 20}}}], [{"$set": {"out": {"$literal": 1}}}]))

    def out(self) -> Located:
        name, into = self.existing(), self.new_name()
        stage: Any = into[1] if into[0] == name[0] else {"db": into[0], "coll": into[1]}
        self.kinds.setdefault(into, "plain")
        pipeline = [*self._some_documents(), {"$out": stage}]
        return name[0], {"aggregate": name[1], "pipeline": pipeline, "cursor": {}}

    def merge(self) -> Located:
        name, into = self.existing(), self.new_name()
        self.kinds.setdefault(into, "plain")
        stage: dict[str, Any] = {"into": {"db": into[0], "coll": into[1]}}
        matched = ["replace", "keepExisting", "merge", "fail", [{"$set": {"merged": {"$add": [1, {"$size": [[1]]}]}}}]]
        stage["whenMatched"] = self.rng.choice(matched)
        stage["whenNotMatched"] = self.rng.choice(("insert", "discard"))
        pipeline = [*self._some_documents(), {"$merge": stage}]
        return name[0], {"aggregate": name[1], "pipeline": pipeline, "cursor": {}}

    def map_reduce(self) -> Located:
        name, into = self.existing(), self.new_name()
        self.kinds.setdefault(into, "plain")
        how = self.rng.choice(("replace", "merge", "reduce"))
        command: Command = {
            "mapReduce": name[1],
            "map": "function() { emit(typeof this.n, 1); }",
            "reduce": "function(key, values) { return Array.sum(values); }",
            "out": {how: into[1], "db": into[0]},
        }
        return name[0], command

    # -- indexes -------------------------------------------------------------------------------------------------------
    def indexes(self) -> Located:
        name = self.existing("plain", "plain", "clustered", "capped")
        if self.rng.random() < 0.25:
            which = self.rng.choice(("*", self._index()["name"], [self._index()["name"]]))
            return name[0], {"dropIndexes": name[1], "index": which}
        specs = [self._index() for _ in range(self.rng.choice((1, 1, 2, 3)))]
        return name[0], {"createIndexes": name[1], "indexes": specs}

    def _index(self) -> dict[str, Any]:
        """Names are fixed, so that dropIndexes and collMod hit, and one name means different specs now and then."""
        rng = self.rng
        kinds: list[dict[str, Any]] = [
            {"key": {"a": 1}, "name": "a_1"},
            {"key": {"a": -1}, "name": "a_-1"},
            {"key": {"a": 1.0, "b": -1}, "name": "a_b"},
            {"key": {"n": 1}, "name": "n_1", "sparse": True},
            {"key": {"b": 1}, "name": "b_partial", "partialFilterExpression": {"n": {"$gt": 1}}},
            {"key": {"arr": 1}, "name": "multikey"},
            {"key": {"arr.x": 1, "n": 1}, "name": "nested"},
            {"key": {"b": "hashed"}, "name": "hashed"},
            {"key": {"$**": 1}, "name": "all"},
            {"key": {"sub.$**": 1}, "name": "all_sub"},
            {"key": {"$**": 1}, "name": "all_but", "wildcardProjection": {"a": 0}},
            {"key": {"s": "text"}, "name": "text", "default_language": "german", "weights": {"s": 3}},
            {"key": {"c": 1}, "name": "collated", "collation": {"locale": "en", "strength": 1}},
            {"key": {"place": "2dsphere"}, "name": "sphere"},
            {"key": {"flat": "2d"}, "name": "flat", "bits": 20},
            {"key": {"s": 1}, "name": "hidden", "hidden": True},
        ]
        if "unique" in self.features:
            kinds += [
                {"key": {"u": 1, "_id": 1}, "name": "unique", "unique": True},
                {"key": {"u": 1}, "name": "unique_partial", "unique": True, "partialFilterExpression": {"u": {"$gt": 5}}},
                {"key": {"_id": 1, "a": 1}, "name": "prepared", "prepareUnique": True},
                {"key": {"expires": 1}, "name": "ttl", "expireAfterSeconds": rng.choice((0, 1.5, 3600))},
                {"key": {"a": 1}, "name": "a_1 unique", "unique": True, "sparse": True},
            ]
        return rng.choice(kinds)

    # -- collMod -------------------------------------------------------------------------------------------------------
    def coll_mod(self) -> Located:
        name = self.existing("plain", "plain", "clustered", "capped")
        changes: list[dict[str, Any]] = [
            {"index": {"name": self._index()["name"], "hidden": self.rng.random() < 0.5}},
            {"index": {"keyPattern": {"a": 1}, "hidden": self.rng.random() < 0.5}},
        ]
        if "unique" in self.features:
            changes += [
                {"index": {"name": "ttl", "expireAfterSeconds": self.rng.choice((5, 7200))}},
                {"index": {"name": "n_1", "expireAfterSeconds": 86400}},
                {"index": {"name": self.rng.choice(("prepared", "a_b")), "prepareUnique": self.rng.random() < 0.7}},
                {"index": {"name": "prepared", "unique": True}},
            ]
        if "validators" in self.features:
            changes += [self._validator(), {"validator": {}}, {"validationLevel": self.rng.choice(("off", "strict"))}]
        if "pre-images" in self.features:
            changes += [{"changeStreamPreAndPostImages": {"enabled": self.rng.random() < 0.5}}]
        if "clustered" in self.features:
            changes += [{"expireAfterSeconds": self.rng.choice(("off", 10**9))}]
        if "capped" in self.features:
            changes += [{"cappedSize": self.rng.choice((4096, 50_000))}, {"cappedMax": self.rng.choice((5, 20))}]
        return name[0], {"collMod": name[1], **self.rng.choice(changes)}

    # -- views, time-series, JavaScript --------------------------------------------------------------------------------
    def views(self) -> Located:
        database, view = self.database(), self.rng.choice(VIEW_NAMES)
        on = self.rng.choice(NAMES + VIEW_NAMES)
        pipeline = self.rng.choice(([], [{"$match": {"n": 1}}], [{"$project": {"n": 1}}, {"$sort": {"n": -1}}]))
        match self.rng.randrange(6):
            case 0:
                self.kinds.pop((database, view), None)
                return database, {"drop": view}
            case 1:
                return database, {"collMod": view, "viewOn": on, "pipeline": pipeline}
            case _:
                self.kinds.setdefault((database, view), "view")
                command: Command = {"create": view, "viewOn": on, "pipeline": pipeline}
                if "collations" in self.features and self.rng.random() < 0.3:
                    command["collation"] = self._collation()
                return database, command

    def timeseries(self) -> Located:
        rng = self.rng
        name = self.existing("series")
        if self.kinds.get(name) != "series":
            name = (self.database(), rng.choice(SERIES_NAMES))
            self.kinds.setdefault(name, "series")
            series: dict[str, Any] = {"timeField": "t"}
            if rng.random() < 0.8:
                series["metaField"] = "m"
            series["granularity"] = rng.choice(("seconds", "minutes", "hours"))
            command: Command = {"create": name[1], "timeseries": series}
            if rng.random() < 0.3:
                command["expireAfterSeconds"] = 10**9
            return name[0], command
        match rng.randrange(12):
            case 0:
                self.kinds.pop(name)
                return name[0], {"drop": name[1]}
            case 1:
                keys = rng.choice(({"m": 1}, {"m.a": 1, "t": -1}, {"x": 1}))
                return name[0], {"createIndexes": name[1], "indexes": [{"key": keys, "name": "_".join(keys)}]}
            case 2:
                return name[0], {"dropIndexes": name[1], "index": rng.choice(("*", "m", "x"))}
            case 3:
                change = rng.choice(({"expireAfterSeconds": rng.choice((10**9, "off"))}, {"timeseries": {"granularity": "hours"}}))
                return name[0], {"collMod": name[1], **change}
            case 4:
                return name[0], {"delete": name[1], "deletes": [{"q": {"m": rng.randrange(3)}, "limit": 0}]}
            case 5:
                changed = {"q": {"m": rng.randrange(3)}, "u": {"$set": {"m": rng.randrange(3)}}, "multi": True}
                return name[0], {"update": name[1], "updates": [changed]}
            case _:
                return name[0], self._measure(name[1])

    def _measure(self, collection: str) -> Command:
        documents = self._measurements()
        return {"insert": collection, "documents": documents, "ordered": self.rng.random() < 0.5}

    def _measurements(self) -> list[dict[str, Any]]:
        begin = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
        count = self.rng.choice((1, 5, 50))
        return [
            {
                "t": begin + datetime.timedelta(seconds=self.rng.randrange(20_000)),
                "m": self.rng.choice((0, 1, 2, {"a": 1})),
                "x": self.values.scalar(),
            }
            for _ in range(count)
        ]

    def system_js(self) -> Located:
        key = self.rng.choice(("f", "g"))
        if self.rng.random() < 0.3:
            return self.database(), {"delete": "system.js", "deletes": [{"q": {"_id": key}, "limit": 1}]}
        changed = {"q": {"_id": key}, "u": {"value": f"function() {{ return {self.rng.randrange(9)}; }}"}, "upsert": True}
        return self.database(), {"update": "system.js", "updates": [changed]}
