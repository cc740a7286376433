"""The sandbox shares no code with the product."""

from __future__ import annotations

import subprocess
import sys

from .harness import ROOT

LOOK = """
import sys
import payments.sandbox.server
theirs = {name.split(".")[0] for name in sys.modules}
print(*sorted(theirs & {"django", "djstripe", "stripe", "config", "members", "bookings", "holds"}))
print(*sorted(name for name in sys.modules
    if name.startswith("payments.") and not name.startswith("payments.sandbox")))
"""


def test_it_imports_nothing_of_the_product() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
