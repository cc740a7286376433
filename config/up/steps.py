"""What `up` says while it works: one line per step, with the time it took."""

import contextlib
import sys
import time
from collections.abc import Iterator


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what begins, and how long it took; a step that fails leaves its line unfinished."""
    print(f"  {what + ' ':.<34} ", end="", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(f"{time.monotonic() - began:5.1f} s", flush=True)


def say(text: str, *, end: str = "\n") -> None:
    print(text, end=end, flush=True)


def complain(text: str) -> None:
    print(f"surehold: {text}", file=sys.stderr, flush=True)
