"""`python -m tests.long`: the tests that take long and seldom fail; `.ci/run` runs them too.

They start the product from nothing several times over, or run all of dj-stripe's migrations: what
they look at changes with `config/up`, `config/embedded` and the packages, hardly ever else.
"""

import os
import sys

import pytest

if __name__ == "__main__":
    os.environ["SUREHOLD_LONG"] = "1"
    sys.exit(pytest.main(["-m", "long", "--dist", "load", "--maxschedchunk", "1", *sys.argv[1:]]))
