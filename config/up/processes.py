"""Web, workers and beat under honcho: prefixed logs, and all of them end together."""

import signal
import sys
from collections.abc import Callable
from typing import Any

from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Process

from config.embedded.guard import die_with_parent
from config.embedded.run import PROJECT, Run
from config.up.procfile import command_lines

NAMES = ("web", "worker", "hooks", "calendars", "beat")
PATIENT = {"hooks", "calendars", "beat"}


class Reader(Process):
    """The process that reads one child's output; it must not outlive us either."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        die_with_parent(signal.SIGKILL)
        super().run(events, ignore_signals)


class Listener(Printer):
    """Prints the children's lines, and notes which ended first and whether the worker works."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.first_to_stop = ""
        self.worker_ready = False

    def write(self, message: Message) -> None:
        text = (
            message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
        )
        if message.name == "system":
            if "stopped (" in text and not self.first_to_stop:
                self.first_to_stop = text.strip()
            return
        if message.name == "worker" and " ready." in text:
            self.worker_ready = True
        super().write(message)


class Processes(Manager):
    """The Procfile's processes; `loop()` runs until all of them have ended."""

    def __init__(self, run: Run, env: dict[str, str], *, once_started: Callable[[], None]) -> None:
        self.listener = Listener()
        super().__init__(self.listener)
        self._process_ctor = Reader
        self._once_started = once_started
        lines = command_lines()
        for name in NAMES:
            # Many Pythons load Django at once; those that have little to do let the others pass.
            line = f"nice {lines[name]}" if name in PATIENT else lines[name]
            self.add_process(name, run.guarded_line(line), env=env, cwd=str(PROJECT))

    def _start(self) -> None:
        super()._start()
        self._once_started()
