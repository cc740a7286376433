"""`python -m tests.api.fuzz --examples 200`: many more requests than the suite's sample makes.

So many that fit and as many that do not, for every operation; the seed is printed, `--seed` repeats
it. Says how often each status was answered.
"""

import argparse
import os
import random
import sys
import time

import pytest


def main() -> int:
    """Ask them; the exit status is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    os.environ |= {
        "SUREHOLD_LONG": "1",
        "SUREHOLD_FUZZ_EXAMPLES": str(asked.examples),
        "SUREHOLD_FUZZ_SEED": str(asked.seed),
    }
    print(f"--seed {asked.seed}", flush=True)
    began = time.monotonic()
    quiet = ["-o", "log_level=ERROR", "--show-capture=no"]
    status = pytest.main(["-q", "-s", "-n", "0", *quiet, "tests/api/test_fuzz.py"])
    print(f"{time.monotonic() - began:.0f} s")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
