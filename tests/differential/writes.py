"""Random commands that change documents: insert, update, delete, findAndModify, with all operators.

Everything is a raw command: what the server is told stands in the schedule, without a driver's help in between. Commands
may fail (a wrong type, a duplicate key); that is part of the game and changes nothing.
"""

from __future__ import annotations

from typing import Any

from bson import Int64

from .values import INNER_NAMES, NAMES, ODD_NAMES, Values

Command = dict[str, Any]


class Writes:
    def __init__(self, values: Values) -> None:
        self.values = values
        self.rng = values.rng
        self.features = values.features

    def command(self, collection: str) -> Command:
        kinds = [self.insert, self.update, self.delete]
        weights = [5, 7, 3]
        if "find-and-modify" in self.features:
            kinds.append(self.find_and_modify)
            weights.append(2)
        return self.rng.choices(kinds, weights)[0](collection)

    # -- commands ------------------------------------------------------------------------------------------------------
    def insert(self, collection: str, count: int | None = None) -> Command:
        count = count or self.rng.choice((1, 1, 1, 3, 10))
        documents = [self.values.document(self.values.key()) for _ in range(count)]
        if "duplicate-names" in self.features and self.rng.random() < 0.3:
            documents.append(self.values.doubled())
        return self._bypassing({"insert": collection, "documents": documents, "ordered": False})

    def fill(self, collection: str, count: int) -> Command:
        """Many documents with keys of their own, for a copy of several ranges."""
        first = self.rng.choice((0, 100, 1000))
        documents = [self.values.document(first + n) for n in range(count)]
        return self._bypassing({"insert": collection, "documents": documents, "ordered": False})

    def update(self, collection: str) -> Command:
        statements = [self._statement() for _ in range(self.rng.choice((1, 1, 1, 2, 4)))]
        return self._bypassing({"update": collection, "updates": statements, "ordered": False})

    def delete(self, collection: str) -> Command:
        deletes = [{"q": self._query(), "limit": self.rng.choice((1, 1, 1, 0))} for _ in range(self.rng.choice((1, 1, 3)))]
        return {"delete": collection, "deletes": deletes, "ordered": False}

    def find_and_modify(self, collection: str) -> Command:
        command: Command = {"findAndModify": collection, "query": self._query()}
        if self.rng.random() < 0.3:
            command["sort"] = {self.rng.choice(NAMES): -1}
        if self.rng.random() < 0.25:
            command["remove"] = True
            return command
        statement = self._change()
        command["update"] = statement["u"]
        if "arrayFilters" in statement:
            command["arrayFilters"] = statement["arrayFilters"]
        command |= {"upsert": self.rng.random() < 0.4, "new": self.rng.random() < 0.5}
        return self._bypassing(command)

    def _bypassing(self, command: Command) -> Command:
        """Documents that a validator refuses are there in reality, too."""
        if "validators" in self.features and self.rng.random() < 0.5:
            command["bypassDocumentValidation"] = True
        return command

    # -- statements ----------------------------------------------------------------------------------------------------
    def _query(self) -> dict[str, Any]:
        choice = self.rng.random()
        if choice < 0.75:
            return {"_id": {"$eq": self.values.key()}} if choice < 0.1 else {"_id": self.values.key()}
        if choice < 0.9:
            low = self.rng.randrange(40)
            return {"_id": {"$gte": low, "$lt": low + self.rng.choice((2, 5, 20))}}
        return self.rng.choice(({"n": {"$gt": 1}}, {"arr": {"$size": 3}}, {"sub.x": {"$exists": True}}, {"arr.x": 2}))

    def _statement(self) -> dict[str, Any]:
        statement = {"q": self._query(), **self._change()}
        upsert = self.rng.random() < 0.3
        replaces = isinstance(statement["u"], dict) and not any(name.startswith("$") for name in statement["u"])
        return statement | {"upsert": upsert, "multi": not replaces and self.rng.random() < 0.3}

    def _change(self) -> dict[str, Any]:
        """`u`, and `arrayFilters` where it needs them."""
        choice = self.rng.random()
        if choice < 0.2:
            return {"u": self.values.replacement()}
        if choice < 0.4 and "pipelines" in self.features:
            return {"u": [self._stage() for _ in range(self.rng.choice((1, 1, 2)))]}
        if choice < 0.55 and "positional" in self.features:
            return self._positional()
        return {"u": self._operators()}

    def _path(self) -> str:
        """Of a field, of one inside it, or of an array's element by its number."""
        name = self.rng.choice(NAMES)
        choice = self.rng.random()
        if choice < 0.5:
            return name
        inner = self.rng.choice(INNER_NAMES + (("0", "1", "15") if "positional" in self.features else ()))
        if "odd-names" in self.features and choice > 0.9:
            inner = self.rng.choice([odd for odd in ODD_NAMES if odd and "." not in odd and "$" not in odd])
        return f"{name}.{inner}" if choice < 0.85 else f"{name}.{inner}.{self.rng.choice(INNER_NAMES)}"

    def _operators(self) -> dict[str, Any]:
        """One to three operators; paths in conflict are refused by the server, so only the first of equal roots stays."""
        update: dict[str, Any] = {}
        roots: set[str] = set()
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            operator, path, argument = self._operator()
            touched = {path.split(".")[0]} | ({argument.split(".")[0]} if operator == "$rename" else set())
            if operator in update or touched & roots:
                continue
            roots |= touched
            update[operator] = {path: argument}
            if operator == "$set":
                for extra in self.rng.sample(NAMES, 2):  # several new fields: their order counts
                    if extra not in roots:
                        roots.add(extra)
                        update[operator][extra] = self.values.value()
        return update

    def _operator(self) -> tuple[str, str, Any]:
        path, values = self._path(), self.values
        array = path if self.rng.random() < 0.3 else "arr"
        match self.rng.randrange(16):
            case 0 | 1 | 2:
                return "$set", path, values.value()
            case 3:
                return "$unset", path, ""
            case 4:
                return "$inc", self.rng.choice(("n", path)), values.number()
            case 5:
                return "$mul", "n", values.number()
            case 6:
                return self.rng.choice(("$min", "$max")), path, values.scalar()
            case 7:
                return "$rename", path, self.rng.choice(("renamed", "b", "sub.moved", "c"))
            case 8:
                return "$currentDate", path, self.rng.choice((True, {"$type": "timestamp"}))
            case 9 | 10:
                return "$push", array, self._push()
            case 11:
                return "$addToSet", array, self.rng.choice((values.scalar(), {"$each": values.array()}))
            case 12:
                return "$pop", array, self.rng.choice((1, -1))
            case 13:
                return "$pull", array, self.rng.choice((3, {"$gte": 5}, {"x": 2}, {"x": {"$lt": 3}}))
            case 14:
                return "$pullAll", array, [1, 2, 3, values.scalar()]
            case _:
                return self.rng.choice((("$bit", "n", {"xor": 5}), ("$setOnInsert", path, values.value())))

    def _push(self) -> Any:
        modifiers: dict[str, Any] = {"$each": self.values.array()}
        if self.rng.random() < 0.5:
            modifiers["$slice"] = self.rng.choice((0, 1, 3, -1, -3, -5, 8))
        if self.rng.random() < 0.4:
            modifiers["$sort"] = self.rng.choice((1, -1, {"x": 1}, {"x": -1, "y": 1}))
        if self.rng.random() < 0.4:
            modifiers["$position"] = self.rng.choice((0, 1, 2, -1, -2, 100))
        return modifiers

    def _positional(self) -> dict[str, Any]:
        value = self.values.value(1)
        match self.rng.randrange(6):
            case 0:
                return {"u": {"$set": {"arr.$[]": value}}}
            case 1:
                return {"u": {"$set": {"arr.$[e]": value}}, "arrayFilters": [{"e": {"$gte": self.rng.randrange(8)}}]}
            case 2:
                return {"u": {"$inc": {"arr.$[e].x": 1}}, "arrayFilters": [{"e.x": {"$lt": 3}}]}
            case 3:
                return {"u": {"$unset": {"arr.$[e].y": ""}}, "arrayFilters": [{"e.x": {"$gt": 1}}]}
            case 4:
                key = self.values.key()
                return {"u": {"$set": {"arr.$": value}}, "q": {"_id": key, "arr": {"$gte": 2}}}
            case _:
                return {"u": {"$set": {f"arr.{self.rng.choice((0, 1, 2, 7, 20))}": value}}}

    def _stage(self) -> dict[str, Any]:
        """Rewrites, reorders, shortens and lengthens arrays; fields in a new order; names that $set cannot say."""
        array = {"$cond": [{"$isArray": "$arr"}, "$arr", []]}
        number = self.rng.randrange(1, 6)
        changes: list[Any] = [
            {"$set": {"arr": {"$reverseArray": array}}},
            {"$set": {"arr": {"$slice": [array, number]}}},
            {"$set": {"arr": {"$concatArrays": [array, [number, {"x": number}]]}}},
            {"$set": {"arr": {"$concatArrays": [[number], array]}}},
            {"$set": {"arr": {"$map": {"input": array, "in": {"v": "$$this", "x": number}}}}},
            {"$set": {"arr": {"$filter": {"input": array, "cond": {"$ne": ["$$this", number]}}}}},
            {"$set": {"arr": {"$concatArrays": [{"$slice": [array, number]}, {"$slice": [array, -number]}]}}},
            {"$set": {self._path_in_pipeline(): {"$literal": self.values.value()}}},
            {"$set": {"sub": {"$mergeObjects": ["$sub", {"x": number}]}}},
            {"$unset": self.rng.sample(NAMES, 2)},
            {"$replaceWith": {"$mergeObjects": [{"moved": number}, "$$ROOT"]}},
            {"$replaceWith": {"_id": "$_id", "sub": "$$ROOT"}},
            {"$replaceWith": {"$arrayToObject": {"$reverseArray": {"$objectToArray": "$$ROOT"}}}},
            {"$set": {"arr": {"$range": [0, self.rng.choice((0, 3, 50))]}}},
        ]
        if "odd-names" in self.features:
            odd = self.rng.choice(ODD_NAMES)
            field = {"$literal": odd}
            changes += [
                {"$replaceWith": {"$setField": {"field": field, "input": "$$ROOT", "value": {"$literal": Int64(number)}}}},
                {"$replaceWith": {"$unsetField": {"field": field, "input": "$$ROOT"}}},
            ]
        return self.rng.choice(changes)

    def _path_in_pipeline(self) -> str:
        return self.rng.choice((self.rng.choice(NAMES), "sub.x", "sub.y.z"))
