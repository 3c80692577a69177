"""Sets up `.venv` beside this file and runs one thing in it. Needs only Python 3.11+ with pip.

    python3 dev.py demo    # simulated hospital folder in, study report out (demo/study/report)
    python3 dev.py test    # the tests that take seconds, in minutes
    python3 dev.py slow    # the tests that take longer: compilers, killed trainings, the whole demo
    python3 dev.py lint    # format, lint, types and import layers

Nothing outside this folder is installed or changed.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
TORCH = "torch==2.13.0"
PYTEST = ["python", "-m", "pytest", "-n", "2", "--dist", "worksteal"]
COMMANDS = {
    "demo": [["neoresponse", "demo", "demo"]],
    "test": [[*PYTEST, "-m", "not slow"]],
    "slow": [[*PYTEST, "-m", "slow"]],
    "lint": [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
}


def main(words: list[str]) -> int:
    """Set up, then run the commands of the first word; further words go to the last of them."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this file may meet any Python)
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.")
        return 2
    if not words or words[0] not in COMMANDS:
        print(__doc__)
        return 2
    set_up(extra="dev" if words[0] != "demo" else "baselines")
    commands = [list(command) for command in COMMANDS[words[0]]]
    commands[-1] += words[1:]
    for program, *rest in commands:
        status = subprocess.run([str(BIN / program), *rest], cwd=ROOT, check=False).returncode
        if status:
            return status
    return 0


def set_up(extra: str) -> None:
    """Make `.venv` and install the project into it, unless that is done already."""
    mark = VENV / f".installed-{extra}"
    wanted = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    ).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return
    print("Setting up .venv (a few minutes, once)", flush=True)
    if not (BIN / ("python.exe" if os.name == "nt" else "python")).exists():
        venv.create(VENV, with_pip=True)
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # torch first and by its exact version: any other way may fetch another build of it.
    subprocess.run([*pip, TORCH], cwd=ROOT, check=True)
    project = f".[{extra}]"
    subprocess.run([*pip, "-c", "constraints.txt", "-e", project], cwd=ROOT, check=True)
    mark.write_text(wanted)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
