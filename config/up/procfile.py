"""The Procfile's processes: what production runs is what `up` and the race tests run."""

from honcho.environ import parse_procfile

from config.embedded.run import PROJECT


def command_lines() -> dict[str, str]:
    """The shell line of each process, by name."""
    lines: dict[str, str] = parse_procfile((PROJECT / "Procfile").read_text()).processes
    return lines
