"""Build the wheels and import them in clean environments, each with nothing but what it says it needs.

Checks that a wheel carries its types and licence; that every public module of core and agentchat imports with the
package's own dependencies; that a module of ext either imports or names the extra it needs, and imports once that extra
is installed without any other; and that sub-packages of `autogen_ext` from other distributions are found. Stands on uv
and the standard library; knows the names of the packages and nothing of what is in them.
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from environment import variables

ROOT = Path(__file__).resolve().parent.parent
UV = str(ROOT / ".venv" / "bin" / "uv")
PINS = ROOT / "requirements" / "dev.txt"
PACKAGES = {"core": "autogen_core", "agentchat": "autogen_agentchat", "ext": "autogen_ext"}
NAMED_EXTRA = re.compile(r"autogen-ext\[([\w-]+)\]")

# Runs inside an environment: imports every public module of a package, and prints what each import raised.
PROBE = """
import importlib, json, pkgutil, sys
found = {}
def walk(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        found[name] = f"{type(error).__name__}: {error}"
        return
    found[name] = ""
    for entry in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if not entry.name.startswith("_"):
            walk(f"{name}.{entry.name}")
walk(sys.argv[1])
print(json.dumps(found))
"""

COMMUNITY = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "community-demo"
version = "1"
[tool.hatch.build.targets.wheel]
packages = ["src/autogen_ext"]
""",
    "src/autogen_ext/community_demo/__init__.py": 'GREETING = "hello"\n',
}
IMPORT_BOTH = "import autogen_ext.community_demo as c, autogen_ext as e; assert c.GREETING == 'hello' and e.__version__"


# What core must work with: none is tried by importing it in an environment without.
PROTOBUFS = ("protobuf>=4.25,<5", "protobuf>=5,<6", "protobuf>=6,<7")
ROUND_TRIP = """
from autogen_core import try_get_known_serializers_for_type
from google.protobuf.wrappers_pb2 import StringValue
(serializer,) = try_get_known_serializers_for_type(StringValue)
assert serializer.deserialize(serializer.serialize(StringValue(value="x"))).value == "x"
"""


class CheckError(Exception):
    """Something about a wheel is wrong; the text says what."""


def run(*command: str | Path) -> str:
    """Run a command and return its output; fail with it where the command fails."""
    result = subprocess.run(command, cwd=ROOT, env=variables(), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CheckError(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


class Environment:
    """A clean environment; what is installed comes from the given wheels and the pinned requirements."""

    def __init__(self, folder: Path) -> None:
        run(UV, "venv", "--quiet", "--python", sys.executable, folder)
        self.python = folder / "bin" / "python"

    def install(self, *requirements: str | Path) -> None:
        """Install wheels, with what they need."""
        run(UV, "pip", "install", "--quiet", "--python", self.python, "--constraint", PINS, *requirements)

    def install_tree(self, tree: Path) -> None:
        """Install a source tree as its developer would, without its dependencies."""
        options = ("--quiet", "--no-cache", "--no-deps", "--no-build-isolation")
        run(UV, "pip", "install", *options, "--python", self.python, "--editable", tree)

    def probe(self, package: str) -> dict[str, str]:
        """Import every public module of a package: the error of each, or nothing."""
        return json.loads(run(self.python, "-W", "error::DeprecationWarning:autogen_", "-c", PROBE, package))


def build(tree: Path, wheels: Path) -> Path:
    """Build the wheel of a tree with the backend of this environment."""
    known = set(wheels.glob("*.whl"))
    run(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", wheels, tree)
    return (set(wheels.glob("*.whl")) - known).pop()


def check_content(wheel: Path, package: str) -> None:
    """A wheel holds the package, its types and its licence, and nothing else."""
    names = zipfile.ZipFile(wheel).namelist()
    if f"{package}/py.typed" not in names:
        raise CheckError(f"{wheel.name} has no {package}/py.typed")
    if not any(name.endswith("licenses/LICENSE") for name in names):
        raise CheckError(f"{wheel.name} has no licence")
    if stray := [name for name in names if not name.startswith((f"{package}/", f"{package}-"))]:
        raise CheckError(f"{wheel.name} also holds {', '.join(stray)}")


def check_alone(environment: Environment, package: str) -> None:
    """Every public module imports with the package's own dependencies."""
    if failed := {name: error for name, error in environment.probe(package).items() if error}:
        raise CheckError(f"{package} does not import by itself: {failed}")


def check_protobuf(environment: Environment) -> None:
    """Core reads and writes the messages of each protobuf that a program may have."""
    for protobuf in PROTOBUFS:
        run(UV, "pip", "install", "--quiet", "--python", environment.python, protobuf)
        run(environment.python, "-c", ROUND_TRIP)


def needed_extras(environment: Environment) -> dict[str, list[str]]:
    """By extra, the modules of ext that need it: without it, their import must name it."""
    found: dict[str, list[str]] = {}
    for name, error in environment.probe("autogen_ext").items():
        extra = NAMED_EXTRA.search(error)
        if error and extra is None:
            raise CheckError(f'import {name} must name its extra, as in pip install "autogen-ext[...]", not: {error}')
        if extra is not None:
            found.setdefault(extra[1], []).append(name)
    return found


def check_extras(folder: Path, wheels: dict[str, Path]) -> None:
    """Each module of ext imports with its own extra and no other."""
    environment = Environment(folder / "ext")
    environment.install(wheels["core"], wheels["ext"])
    needed = needed_extras(environment)
    if "autogen_ext.models.openai" not in needed.get("openai", []):
        raise CheckError("autogen_ext.models.openai should need the extra openai")
    for extra, names in needed.items():
        environment = Environment(folder / f"ext-{extra}")
        local = [wheels["core"], wheels["agentchat"]]
        environment.install(*local, f"autogen-ext[{extra}] @ {wheels['ext'].as_uri()}")
        found = environment.probe("autogen_ext")
        if failed := {name: found.get(name, "not found") for name in names if found.get(name, "not found")}:
            raise CheckError(f"with the extra {extra}: {failed}")


def check_community(folder: Path, wheels: dict[str, Path]) -> None:
    """A sub-package of `autogen_ext` from another distribution is found beside ours, however both are installed."""
    tree = folder / "community"
    for name, text in COMMUNITY.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    theirs = build(tree, folder)
    for name, ours_in_tree, theirs_in_tree in (
        ("ww", False, False),
        ("we", False, True),
        ("ew", True, False),
        ("ee", True, True),
    ):
        environment = Environment(folder / f"community-{name}")
        environment.install(wheels["core"], wheels["ext"], theirs, "hatchling", "editables")
        for in_tree, source in ((ours_in_tree, ROOT / "python" / "ext"), (theirs_in_tree, tree)):
            if in_tree:
                environment.install_tree(source)
        run(environment.python, "-c", IMPORT_BOTH)


def main() -> int:
    """Run the checks; the exit code is 1 with the reason printed where one fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            wheels = {tree: build(ROOT / "python" / tree, folder) for tree in PACKAGES}
            for tree, package in PACKAGES.items():
                check_content(wheels[tree], package)
            core, agentchat = Environment(folder / "core"), Environment(folder / "agentchat")
            core.install(wheels["core"])
            check_alone(core, "autogen_core")
            check_protobuf(core)
            agentchat.install(wheels["core"], wheels["agentchat"])
            check_alone(agentchat, "autogen_agentchat")
            check_extras(folder, wheels)
            check_community(folder, wheels)
        except CheckError as error:
            print(f"wheels: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
