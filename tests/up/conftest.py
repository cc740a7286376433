"""Fixtures of the tests of `up`."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.upping import Up, kill


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may pass through, as a data folder's parent usually is."""
    folder = Path(tempfile.mkdtemp(prefix="surehold-up-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def up(open_folder: Path) -> Iterator[Callable[..., Up]]:
    """`up(**options)` starts one; nothing of it outlives the test."""
    started: list[Up] = []

    def start(**options: Any) -> Up:
        one = Up(**{"folder": open_folder / "data", **options})
        started.append(one.start())
        return one

    yield start
    kill(*started)


@pytest.fixture(scope="module")
def used() -> Iterator[Up]:
    """An `up` that started once from nothing, demo and all, and was stopped as one should."""
    folder = Path(tempfile.mkdtemp(prefix="surehold-up-"))
    folder.chmod(0o711)
    first = Up(folder / "data").start()
    try:
        first.wait_for()
        assert first.stop() == 0, first.output
        assert first.left() == []
        yield first
    finally:
        kill(first)
        shutil.rmtree(folder, ignore_errors=True)
