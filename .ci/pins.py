"""Pin every package, direct or not, at the version that was tested: `uv run .ci/pins.py`.

The pins stand in pyproject.toml rather than in a lock file, since a lock file names the registry
that it was made with. With `--upgrade` the newest versions that fit are taken first.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.version import Version

PROJECT = Path(__file__).resolve().parent.parent
PYPROJECT, LOCK = PROJECT / "pyproject.toml", PROJECT / "uv.lock"
BLOCK = re.compile(r"^constraint-dependencies = \[.*?^\]\n", re.MULTILINE | re.DOTALL)


def locked() -> list[str]:
    """Each locked package once: where Python versions differ, what the oldest can run."""
    versions: dict[str, str] = {}
    for package in tomllib.loads(LOCK.read_text())["package"]:
        if "registry" in package["source"]:
            name, version = package["name"], package["version"]
            versions[name] = min(versions.get(name, version), version, key=Version)
    return [f"{name}=={version}" for name, version in sorted(versions.items())]


def write(pins: list[str]) -> None:
    lines = "".join(f'    "{pin}",\n' for pin in pins)
    block = f"constraint-dependencies = [\n{lines}]\n"
    text = BLOCK.sub("", PYPROJECT.read_text())
    PYPROJECT.write_text(text.replace("[tool.uv]\n", f"[tool.uv]\n{block}", 1))


def main() -> None:
    if "--upgrade" in sys.argv[1:]:
        PYPROJECT.write_text(BLOCK.sub("", PYPROJECT.read_text()))
        subprocess.run(["uv", "lock", "--upgrade"], cwd=PROJECT, check=True)
    else:
        subprocess.run(["uv", "lock"], cwd=PROJECT, check=True)
    write(locked())


if __name__ == "__main__":
    main()
