"""`manage.py up`: from nothing to a running product, and back to nothing on Ctrl-C.

It runs before Django can: the settings need servers that it starts first.
"""

import os
import signal
import sys
import time
from types import FrameType

from config.embedded import ports
from config.embedded.errors import CannotStartError
from config.embedded.run import Run, hold
from config.up import environment, parts, prepared
from config.up.announce import announce
from config.up.options import Options, parse
from config.up.processes import Processes
from config.up.steps import complain, say, step
from config.up.watch import Watch

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(Exception):
    """Somebody asked us to stop before everything ran."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise StoppedError


def _hear(handler: object) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, handler)  # type: ignore[arg-type]


def main(arguments: list[str]) -> int:
    return run(parse(arguments))


def run(options: Options) -> int:
    """Run until stopped; 0 when that was asked for, 1 with one clear line when it was not."""
    began = time.monotonic()
    os.umask(0o077)
    _hear(_stop)
    held: Run | None = None
    try:
        parts.check()
        held = hold(options.data_dir)
        _refuse_used_port(options.port)
        say(f"Surehold in {held.folder}")
        reason = _run(held, options, began)
    except StoppedError:
        reason = ""
    except CannotStartError as error:
        reason = str(error)
    finally:
        _hear(signal.SIG_IGN)  # what follows is short, and must not be cut off
        if held:
            _close(held)
    if reason:
        complain(reason)
    return 1 if reason else 0


def _run(held: Run, options: Options, began: float) -> str:
    """Everything between taking the folder and giving it back; returns why it ended, or nothing."""
    chosen = parts.start(held)
    env = environment.of_children(held, options, chosen)
    environment.keep(held, {**chosen, "SITE_URL": env["SITE_URL"]})
    for name in ("static", "media"):
        (held.folder / name).mkdir(mode=0o700, exist_ok=True)
    _prepare_once(held, options, env, ours="DATABASE_URL" in chosen)
    say("  Site, worker and beat start.")

    def once_ready() -> None:
        announce(env, held.recall("demo"), time.monotonic() - began)

    processes = Processes(held, env, once_started=lambda: watch.start())
    host = env.get("HOST", "127.0.0.1")
    reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
    watch = Watch(held, f"http://{reachable}:{options.port}", processes.listener, once_ready)
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    processes.loop()  # takes over SIGINT and SIGTERM
    watch.over.set()
    return watch.reason or _ended(processes)


def _ended(processes: Processes) -> str:
    """Which process ended by itself; nothing when a signal ended them all."""
    if processes.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return ""
    return f"{processes.listener.first_to_stop or 'a process ended'}; everything else is stopped."


def _prepare_once(held: Run, options: Options, env: dict[str, str], *, ours: bool) -> None:
    """Prepare the database, unless it is our own and the last start left nothing to do."""
    mark = prepared.fingerprint(held, options, env)
    if not (ours and prepared.is_current(env["DATABASE_URL"], mark)):
        _prepare(held, options, env)
        if ours:
            prepared.record(env["DATABASE_URL"], mark)


def _prepare(held: Run, options: Options, env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "config.up.prepare"]
    command += [] if options.demo else ["--no-demo"]
    # Not in our process group: Ctrl-C is for us to handle, and its guard ends it with us.
    preparing = held.start("Preparing", command, env=env, to_terminal=True)
    code = preparing.process.wait()
    held.children.remove(preparing)
    if code != 0:
        raise CannotStartError("the database could not be made ready (see above).")


def _refuse_used_port(port: int) -> None:
    host = os.environ.get("HOST", "127.0.0.1")
    if not ports.is_free(port, host):
        raise CannotStartError(f"Port {port} cannot be used on {host}; choose one with --port.")


def _close(held: Run) -> None:
    if held.children:
        with step("Stopping"):
            held.close()
    else:
        held.close()
