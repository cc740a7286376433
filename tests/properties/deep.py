"""`python -m tests.properties.deep --examples 2000 --steps 40`: many more runs than the suite has.

Ten by ten, each ten on an empty stage and with the next seed: a failing ten is repeated by
`--examples 10 --seed` and the seed that was printed last. Says how often each rule ran. A failure
is told by the shortest story that shows it, unless `--as-it-came`.
"""

import argparse
import os
import random
import sys
import time

import pytest

from tests.properties import tally


def main() -> int:
    """Run them; the exit status is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--as-it-came", action="store_true", help="do not shorten a failure")
    asked = parser.parse_args()
    for name in ("examples", "steps", "seed"):
        os.environ[f"SUREHOLD_DEEP_{name.upper()}"] = str(getattr(asked, name))
    if asked.as_it_came:
        os.environ["SUREHOLD_NO_SHRINK"] = "1"
    print(f"--seed {asked.seed}", flush=True)
    began = time.monotonic()
    status = pytest.main(
        ["-q", "-s", "-n", "0", "tests/properties/test_any_order.py", "-k", "deep"]
    )
    print(f"{tally.table()}\n{time.monotonic() - began:.0f} s")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
