"""`python -m tests.up.all_migrations`: the first start's short way makes dj-stripe's very tables.

dj-stripe's own migrations take a minute, and what they make changes with its version only. So this
runs in `.ci/run` beside the suite.
"""

import os
import sys

import pytest

if __name__ == "__main__":
    os.environ["SUREHOLD_ALL_MIGRATIONS"] = "1"
    name = "test_fast_tables_equal_those_of_the_migrations"
    sys.exit(pytest.main(["-q", "-n", "0", "tests/up/test_database.py", "-k", name]))
