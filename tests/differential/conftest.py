"""Makes scripts/lab importable, for these tests and for the tester's worker processes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
