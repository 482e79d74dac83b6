"""Make the environment `.venv` for a set of requirements; do nothing where that was done before.

Stands on the standard library only, as it runs before anything is installed. It knows where the requirements are, and
of the product only the command that installs the local model's weights. A finished set-up leaves a stamp named after
everything it depends on, so a change of any of these, or of the place of the tree, is a new set-up.
"""

import argparse
import hashlib
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".set-up"
LOG = ROOT / ".cache" / "set-up.log"
PYTHON = VENV / "bin" / "python"
PACKAGES = ("core", "agentchat", "ext")
# What each set also holds: who has `dev` need not set up `quickstart`.
SETS = {
    "quickstart": ("quickstart", "distributed", "dev"),
    "distributed": ("distributed", "dev"),
    "dev": ("dev",),
}
DOT_S = 1.0
LOG_TAIL = 20


class SetupError(Exception):
    """A step failed; the text says which, and shows the end of its output."""


def variables() -> dict[str, str]:
    """The environment for commands that install: uv gets a cache it can write, which a home folder may not be."""
    folder = Path(os.path.expanduser("~"), ".cache")  # stays "~" where there is no home
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    cache = {} if os.access(folder, os.W_OK) and folder.is_absolute() else {"UV_CACHE_DIR": str(LOG.parent / "uv")}
    # The certificates that this machine trusts, as pip does; uv's own are for machines that have none.
    trusted = {"UV_SYSTEM_CERTS": "true"} if ssl.create_default_context().get_ca_certs() else {}
    if "PIP_CERT" in os.environ:
        trusted["SSL_CERT_FILE"] = os.environ["PIP_CERT"]
    return {"UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **cache, **trusted, **os.environ}


def stamp(name: str) -> Path:
    """The file that stands for a finished set-up of exactly this tree, in this place."""
    digest = hashlib.sha256(f"{ROOT}\n".encode())
    inputs = [Path(__file__), ROOT / "requirements" / "uv.txt", ROOT / "requirements" / f"{name}.txt"]
    for file in [*inputs, *(ROOT / "python" / package / "pyproject.toml" for package in PACKAGES)]:
        digest.update(file.read_bytes())
    return STAMPS / f"{name}-{digest.hexdigest()[:16]}"


def step(title: str, *command: str | Path) -> None:
    """Run a command with its output in the log. What takes longer is named, with a dot a second to see that it lives."""
    started = time.monotonic()
    LOG.parent.mkdir(exist_ok=True)
    shown = f"setup: {title} ."
    with LOG.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=variables())
        try:
            while process.poll() is None:
                try:
                    process.wait(DOT_S)
                except subprocess.TimeoutExpired:
                    print(shown, end="", flush=True)
                    shown = "."
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if shown == ".":
        print(f" {time.monotonic() - started:.0f} s", flush=True)
    if process.returncode != 0:
        tail = LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
        raise SetupError("\n".join([*tail, f"setup: failed at: {title} (the whole output: {LOG.relative_to(ROOT)})"]))


def usable() -> bool:
    """Whether `.venv` has a Python that runs and was made where it stands now."""
    if not PYTHON.exists():
        return False
    home = STAMPS / "home"
    if home.exists() and home.read_text(encoding="utf-8") != str(ROOT):
        return False
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}" if os.environ.get("PYTHON") else ""
    check = f"import sys; v = sys.version_info; sys.exit(v < (3, 11) or {wanted!r} not in ('', f'{{v[0]}}.{{v[1]}}'))"
    return subprocess.run([PYTHON, "-c", check], check=False, capture_output=True).returncode == 0


def set_up(name: str) -> None:
    """Make the environment and install the set and the three packages of this tree, unless that was done."""
    if usable() and any(stamp(holder).exists() for holder in SETS[name]):
        return
    requirements = ROOT / "requirements" / f"{name}.txt"
    count = sum(line[:1].isalnum() for line in requirements.read_text(encoding="utf-8").splitlines())
    if not usable():
        version = ".".join(map(str, sys.version_info[:3]))
        step(f"environment .venv with Python {version}", sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / "home").write_text(str(ROOT), encoding="utf-8")
    step("pip", PYTHON, "-m", "ensurepip", "--default-pip")
    pip = (PYTHON, "-m", "pip", "install", "--require-hashes", "-r")
    step("installer uv", *pip, ROOT / "requirements" / "uv.txt")
    uv = (VENV / "bin" / "uv", "pip", "install", "--python", PYTHON)
    # Nothing is left to resolve: the file names everything but the packages of this tree, which some in it depend on.
    step(f"{count} packages for {name}", *uv, "--no-deps", "--require-hashes", "-r", requirements)
    trees = [part for package in PACKAGES for part in ("-e", f"python/{package}")]
    step("the packages of this tree", *uv, "--no-cache", "--no-deps", "--no-build-isolation", *trees)
    stamp(name).touch()


def main() -> int:
    """Set up the named set; the exit code is 0, or 1 with the reason printed."""
    parser = argparse.ArgumentParser(description="Make the environment .venv.")
    parser.add_argument("set", choices=SETS, help="which requirements")
    name: str = parser.parse_args().set
    try:
        set_up(name)
        if name == "dev" or not os.environ.get("OPENAI_API_KEY"):
            step("the weights of the local model", PYTHON, "-m", "autogen_ext.models.local", "install")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: stopped; run it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
