"""What may occur in a schedule. A feature that is switched off does not occur at all.

Each schedule uses a random part of the others (swarm testing): a schedule in which only renames and transactions happen
digs deeper than one in which everything happens a little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    name: str
    what: str
    share: float = 0.6  # of the schedules that use it
    apart: bool = False  # drawn by itself: the others draw as they did before there was this one


_ALL = [
    # -- documents and writes
    Feature("types", "every BSON type, deprecated ones included"),
    Feature("odd-names", "field names that are empty, dotted, numeric or begin with $"),
    Feature("duplicate-names", "documents with a field name twice", share=0.3),
    Feature("mixed-ids", "_ids of every type, equal ones of different types included"),
    Feature("pipelines", "updates by aggregation pipelines"),
    Feature("positional", "updates of array elements: $, $[], $[e], numeric paths"),
    Feature("find-and-modify", "findAndModify of all kinds"),
    Feature("transactions", "multi-document transactions, aborted ones included"),
    Feature("open-transactions", "transactions that stay open for a while, also across start and finalize", share=0.3),
    Feature("large", "documents of some hundred KB and arrays of thousands of elements", share=0.15),
    Feature("zero-timestamps", "Timestamp(0,0) at top level, which servers replace on insertion"),
    Feature("large-transactions", "transactions of more than one oplog entry", share=0.1),
    # -- structure
    Feature("create", "explicit create", share=0.8),
    Feature("drop", "drop, often followed by a new collection of the same name"),
    Feature("drop-database", "dropDatabase", share=0.3),
    Feature("rename", "renames: chains, swaps, dropTarget"),
    Feature("rename-across", "renames into another database", share=0.4),
    Feature("out", "$out", share=0.4),
    Feature("merge", "$merge", share=0.4),
    Feature("map-reduce", "mapReduce", share=0.2),
    Feature("indexes", "createIndexes and dropIndexes of all kinds"),
    Feature("unique", "unique, prepareUnique and TTL indexes, which plm makes real at the end only"),
    Feature("coll-mod", "collMod of indexes, validators and the rest"),
    Feature("views", "views, views on views"),
    Feature("collations", "collections with a collation of their own", share=0.4),
    Feature("validators", "validators, and documents that violate them", share=0.4),
    Feature("options", "storageEngine and indexOptionDefaults", share=0.3),
    Feature("pre-images", "changeStreamPreAndPostImages", share=0.3),
    Feature("capped", "capped collections, their natural order compared"),
    Feature("clustered", "clustered collections"),
    Feature("convert-to-capped", "convertToCapped and cloneCollectionAsCapped", share=0.4),
    Feature("timeseries", "time-series collections"),
    Feature("system-js", "documents of system.js", share=0.3),
    # -- plm
    Feature("filter", "including and excluding namespaces", share=0.4),
    Feature("portable", "--apply-mode portable", share=0.35),
    Feature("pause", "pause and resume", share=0.5),
    Feature("kill", "kill -9 and a new process", share=0.5),
    Feature("kill-in-finalize", "kill -9 after finalize was asked for", share=0.15),
    Feature("faults", "commands of plm that fail, lose their answer or their connection", share=0.3),
    Feature("unreliable", "every command to a server fails now and then, in finalize too", share=0.2, apart=True),
    Feature("slow", "slow commands, so that more happens while a range is copied", share=0.6),
    Feature("finalize-under-writes", "finalize while writers go on, compared at its time", share=0.3, apart=True),
    Feature("backlog", "much to apply slowly, a save, and kill -9 while most of it still waits", share=0.12),
]
FEATURES = {feature.name: feature for feature in _ALL}


def chosen(without: Iterable[str] = ()) -> frozenset[str]:
    """All features but these. An unknown name is an error."""
    without = set(without)
    if unknown := without - FEATURES.keys():
        raise ValueError(f"unknown features: {', '.join(sorted(unknown))} (known: {', '.join(FEATURES)})")
    return frozenset(FEATURES) - without
