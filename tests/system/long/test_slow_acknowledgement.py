"""A target that acknowledges slowly, because its members still report to the primary that froze: changes of many
collections, and the shutting out of what was sent to the old primary, do not wait one after the other."""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack

from conftest import both_modes
from lab.compare import differences
from lab.load import Writer
from lab.servers import MemberSet
from pymongo.errors import PyMongoError
from test_elections import FLOWS_WITHIN, plm, sets, wait_until_it_acknowledges  # noqa: F401 - two are fixtures

COLLECTIONS = 12
FREEZES = 3  # about every second one is followed by slow acknowledgements


def heal(side: MemberSet) -> None:
    """A primary that was frozen closes connections when it finds that it is none any more."""
    while True:
        with contextlib.suppress(PyMongoError):
            side.heal()
            break


@both_modes
def test_changes_of_many_collections_flow_soon_after_the_first_acknowledgement(sets, plm):  # noqa: F811
    target = sets.target
    with ExitStack() as load:
        for n in range(COLLECTIONS):
            load.enter_context(Writer(sets.source.admin, f"d{n % 2}", f"c{n}", seed=n, rate=20))
        plm.run()
        plm.start()
        plm.wait_synced()
        for _ in range(FREEZES):
            target.wait_complete()
            old, election = target.wait_primary()
            old.freeze()
            target.wait_primary(unlike=election)
            wait_until_it_acknowledges(target)
            began = time.monotonic()
            plm.wait_applied(sets.source.cluster_time())
            took = time.monotonic() - began
            print(f"flows again after {took:.2f} s")
            assert took < FLOWS_WITHIN
            heal(target)
    plm.finish()
    assert differences(sets.source, sets.target) == []
