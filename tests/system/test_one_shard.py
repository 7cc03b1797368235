"""A source that is one shard of a sharded cluster: it is replicated, and what that leaves out is said."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymongo
import pytest
from lab.compare import differences
from lab.daemon import Plm, Refused
from lab.servers import ADMIN, SOURCE_ROLES, ReplicaSet, uri

WARNING = "the source is one shard of a sharded cluster; what the other shards hold is not replicated"


class ClusterMember(ReplicaSet):
    """A replica set with a role in a sharded cluster; all of them share one key."""

    def __init__(self, folder: Path, set_name: str, role: str) -> None:
        super().__init__(folder, set_name, plm_roles=SOURCE_ROLES, options=(f"--{role}",))

    def create_with(self, key: str) -> None:
        self.prepare(key)
        self.start()
        members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
        configuration: dict[str, Any] = {"_id": self.set_name, "members": members}
        if "--configsvr" in self.options:
            configuration["configsvr"] = True
        with pymongo.MongoClient(uri(self.port, None, None), directConnection=True) as bare:
            bare.admin.command("replSetInitiate", configuration)
            self._wait_until_writable(bare)
            # Only a server of the cluster itself may add a shard without a mongos.
            bare.admin.command("createUser", ADMIN.name, pwd=ADMIN.password, roles=["root", "__system"])
        self.add_user(self.plm_user)

    def tells_times(self) -> bool:
        """To plm; those who may speak for the cluster are told earlier."""
        with pymongo.MongoClient(self.uri()) as client:
            return "operationTime" in client.admin.command("hello")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClusterMember, ClusterMember]]:
    """Config servers and a replica set that is ready to be a shard."""
    folder, key = tmp_path_factory.mktemp("cluster"), secrets.token_hex(32)
    config = ClusterMember(folder / "config", "rs_config", "configsvr")
    both = config, ClusterMember(folder / "shard", "rs_shard", "shardsvr")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda member: member.create_with(key), both))
    yield both
    for member in both:
        member.destroy()


def join(config: ClusterMember, shard: ClusterMember) -> None:
    host = f"rs_shard/127.0.0.1:{shard.port}"
    config.admin.admin.command({"_configsvrAddShard": host, "writeConcern": {"w": "majority"}})
    deadline = time.monotonic() + 20
    while not shard.tells_times() and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture
def job(cluster, pair, tmp_path: Path) -> Iterator[Plm]:
    _, shard = cluster
    shard.wipe()
    shard.admin.a.b.insert_many([{"_id": n} for n in range(100)])
    plm = Plm(shard.uri(), pair.target.uri(), tmp_path)
    yield plm.run()
    plm.stop()


def test_a_source_that_tells_no_times_is_refused(cluster, job):
    """As a replica set does that was started to be a shard and belongs to no cluster yet. Without operation times
    nothing can say which changes a copy holds."""
    assert not cluster[1].tells_times()
    with pytest.raises(Refused, match="time"):
        job.start()
    assert job.status()["state"] == "idle"


def test_a_shard_of_a_cluster_is_replicated_with_a_warning(cluster, pair, job):
    join(*cluster)
    shard = cluster[1]
    job.start()
    assert WARNING in job.wait_synced()["warnings"]
    assert WARNING in job.log()
    shard.admin.a.b.update_many({}, {"$set": {"x": 1}})
    shard.admin.a.c.insert_one({"_id": 1})
    job.wait_applied(shard.cluster_time())
    job.kill9()
    job.run()
    assert WARNING in job.wait_synced()["warnings"]
    job.finish()
    assert differences(shard, pair.target) == []


def test_a_replica_set_of_its_own_is_no_shard(pair, plm):
    plm.run()
    plm.start()
    assert not any("shard" in warning for warning in plm.wait_synced()["warnings"])
