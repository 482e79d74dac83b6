"""Writes the Python modules of the protocol from the `.proto` files beside this script. Run it after a change of these.

    python protos/generate.py [--check]

Two compilers are at work, each in an environment of its own made by `uv`. That of the messages is old enough that its modules
ask for no certain version of protobuf at run time, so that they load with all from 4.25 on. That of the service is the oldest
whose modules have the names of AutoGen 0.7.5. With `--check` nothing is written, and a difference fails.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "python/ext/src/autogen_ext/runtimes/grpc/protos"
PACKAGE = "autogen_ext.runtimes.grpc.protos"

FILES = ("agent_control", "agent_worker", "cloudevent")
SERVICES = ("agent_worker", "cloudevent")

MESSAGES = ("grpcio-tools==1.62.3", "setuptools<80", "mypy-protobuf==3.6.0", "protobuf==4.25.8")
SERVICE = ("grpcio-tools==1.70.0",)


HEADER = """\
# Written by protos/generate.py; the types stand in the stub beside it.
# type: ignore
# fmt: off
"""
STUB_HEADER = """\
# Written by protos/generate.py. DESCRIPTOR: the stubs of protobuf name two classes that are one at run time.
# pyright: reportIncompatibleVariableOverride=false
# fmt: off
"""


def compile_files(packages: tuple[str, ...], names: tuple[str, ...], *arguments: str) -> None:
    """Run one compiler."""
    given = [word for package in packages for word in ("--with", package)]
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv) if uv.exists() else "uv", "run", "-q", "--no-project", "--python", "3.11", *given]
    files = [f"{name}.proto" for name in names]
    subprocess.run([*command, "python", "-m", "grpc_tools.protoc", f"-I{HERE}", *arguments, *files], check=True)


def rewrite(text: str) -> str:
    """Let a module import its neighbours by their full names; the compiler knows no packages."""
    for name in FILES:
        text = text.replace(f"import {name}_pb2 as", f"from {PACKAGE} import {name}_pb2 as")
        text = text.replace(f"import {name}_pb2\n", f"from {PACKAGE} import {name}_pb2\n")
    return text


def main() -> int:
    """Write the modules, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args().check
    stale: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        compile_files(MESSAGES, FILES, f"--python_out={folder}", f"--mypy_out={folder}")
        compile_files(MESSAGES, SERVICES, f"--mypy_grpc_out={folder}")
        compile_files(SERVICE, SERVICES, f"--grpc_python_out={folder}")
        for made in sorted(Path(folder).iterdir()):
            text = (STUB_HEADER if made.suffix == ".pyi" else HEADER) + rewrite(made.read_text())
            kept = TARGET / made.name
            if kept.exists() and kept.read_text() == text:
                continue
            stale.append(made.name)
            if not check:
                kept.write_text(text)
    for name in stale:
        print(name, "differs" if check else "written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
