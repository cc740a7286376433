"""`python -m tests.races.soak`: the races at full length, with their figures.

A minute of 25 claims a second on one slot, 20 seconds of overlapping windows by 16 clients, the
hundred at once, and 200 visitors for the last three units of a pool; with `--interleavings`, every
pair of operations stopped at every single lock.
The suite runs the same tests for some seconds only.
"""

import argparse
import os
import sys

import pytest

RACES = [
    "tests/races/test_claims.py",
    "tests/races/test_controls.py",
    "tests/races/test_pools.py",
]


def main() -> int:
    """Run them with the durations asked for; the exit status is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sustained-seconds", type=float, default=60)
    parser.add_argument("--windows-seconds", type=float, default=20)
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--interleavings", action="store_true")
    asked = parser.parse_args()
    os.environ["SUREHOLD_SUSTAINED_SECONDS"] = str(asked.sustained_seconds)
    os.environ["SUREHOLD_WINDOWS_SECONDS"] = str(asked.windows_seconds)
    os.environ["SUREHOLD_VISITORS"] = str(asked.visitors)
    tests = list(RACES)
    if asked.interleavings:
        os.environ["SUREHOLD_THOROUGH"] = "1"
        tests.append("tests/core/test_interleavings.py")
    os.environ["SUREHOLD_LONG"] = "1"
    return pytest.main(["-q", "-s", "-n", "0", "--durations=5", *tests])


if __name__ == "__main__":
    sys.exit(main())
