"""What is wrong with the arguments is said in a line, with a status that tells scripts what kind of mistake it is."""

import os
import re
from pathlib import Path

import pytest

from .conftest import Start
from .processes import free_port

NOWHERE = "grpc://127.0.0.1:1"
WRONG: list[tuple[int, str, list[str]]] = [
    (2, "arguments are required", []),
    (2, "invalid choice: 'wrker'", ["wrker"]),
    (2, "arguments are required: module:function", ["worker"]),
    (2, "Say where to connect to", ["worker", "shop:front"]),
    (2, "no address to connect to", ["worker", "shop:front", "--connect", "grpc://127.0.0.1"]),
    (2, "no address to connect to", ["worker", "shop:front", "--connect", "http://127.0.0.1:1"]),
    (2, "no address to connect to", ["worker", "shop:front", "--connect", "grpc://127.0.0.1:1/path"]),
    (2, "no address to connect to", ["worker", "shop:front", "--connect", "grpc://127.0.0.1:99999"]),
    (2, "does not fit --runtime nats", ["worker", "shop:front", "--connect", NOWHERE, "--runtime", "nats"]),
    (2, "does not fit", ["worker", "shop:front", "--connect", f"{NOWHERE},nats://127.0.0.1:1"]),
    (2, "one host", ["worker", "shop:front", "--connect", f"{NOWHERE},{NOWHERE}"]),
    (2, "URL with a secret", ["worker", "shop:front", "--connect", "nats://me:hunter2@127.0.0.1:1"]),
    (2, "--namespace is for NATS", ["worker", "shop:front", "--connect", NOWHERE, "--namespace", "shop"]),
    (2, "grpcs://", ["worker", "shop:front", "--connect", NOWHERE, "--ca", "ca.pem"]),
    (2, "cannot be read", ["worker", "shop:front", "--connect", NOWHERE, "--token-file", "no.such.file"]),
    (2, "'soon' is no time", ["worker", "shop:front", "--connect", NOWHERE, "--drain-timeout", "soon"]),
    (2, "'8080' is no address", ["worker", "shop:front", "--connect", NOWHERE, "--health", "8080"]),
    (2, "no name of a function", ["worker", "shop", "--connect", NOWHERE]),
    (3, "There is no module 'shop.py'", ["worker", "shop.py:front", "--connect", NOWHERE]),
    (3, "There is no module 'shup'", ["worker", "shup:front", "--connect", NOWHERE]),
    (3, "There is no module 'shop.cellar'", ["worker", "shop.cellar:front", "--connect", NOWHERE]),
    (3, "'shop' has no 'frunt'", ["worker", "shop:frunt", "--connect", NOWHERE]),
    (3, "of type int", ["worker", "shop:number", "--connect", NOWHERE]),
    (
        3,
        r"Importing broken raised ValueError: no configuration .*broken.py",
        ["worker", "broken:x", "--connect", NOWHERE],
    ),
    (3, "No module named 'there_is_no_such_module'", ["worker", "lacking:x", "--connect", NOWHERE]),
    (4, "within 0 seconds", ["worker", "shop:front", "--connect", NOWHERE, "--connect-timeout", "0"]),
    (2, "needs private_key and certificate_chain", ["host", "--key", "shop.py"]),
    (2, "is no JSON", ["host", "--tokens", "shop.py"]),
    (1, "cannot listen on 203.0.113.1:1", ["host", "--listen", "203.0.113.1:1"]),
    (1, "health endpoint cannot listen", ["host", "--listen", "127.0.0.1:0", "--health", "203.0.113.1:1"]),
]


@pytest.mark.parametrize(("status", "text", "arguments"), WRONG)
async def test_a_mistake_is_said_in_a_line(start: Start, status: int, text: str, arguments: list[str]) -> None:
    command = await start(*arguments)
    assert await command.ended() == status
    said = [line for line in command.lines if re.search(text, line)]
    assert said, command.text
    assert "Traceback" not in command.text
    assert "hunter2" not in command.text


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("shop:failing", r"shop:failing raised KeyError: 'boom' \(file .*shop.py\", line \d+\)$"),
        ("shop:failing_later", r"raised RuntimeError: the database \("),
    ],
)
async def test_a_function_that_fails_ends_its_worker(start: Start, function: str, text: str) -> None:
    host = await start("host", "--listen", "127.0.0.1:0")
    worker = await start("worker", function, "--connect", f"grpc://{await host.listens()}")
    await worker.says(text)
    assert await worker.ended() == 3
    assert "Traceback" not in worker.text


async def test_the_traceback_of_a_failing_function_is_there_to_be_asked_for(start: Start) -> None:
    host = await start("host", "--listen", "127.0.0.1:0")
    connect = ("--connect", f"grpc://{await host.listens()}", "--log-level", "debug", "--log-format", "json")
    worker = await start("worker", "shop:failing", *connect)
    await worker.says(r'"error": "Traceback .*in failing')
    assert await worker.ended() == 3


async def test_a_port_in_use_is_said(start: Start) -> None:
    port = free_port()
    await (await start("host", "--listen", f"127.0.0.1:{port}")).ready()
    second = await start("host", "--listen", f"127.0.0.1:{port}")
    assert await second.ended() == 1
    assert "in use" in second.text


@pytest.mark.parametrize(("scheme", "package", "extra"), [("grpc", "grpc", "grpc"), ("nats", "nats", "nats")])
async def test_a_missing_extra_is_named(start: Start, tmp_path: Path, scheme: str, package: str, extra: str) -> None:
    """As if the package were not installed."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f'raise ModuleNotFoundError("No module named {package}")')
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    worker = await start("worker", "shop:front", "--connect", f"{scheme}://127.0.0.1:1", environment=environment)
    assert await worker.ended() == 1
    assert f'pip install "autogen-ext[{extra}]"' in worker.text


async def test_the_installed_command_finds_modules_of_the_current_directory(start: Start) -> None:
    """A console script has the folder of scripts on its path, not the current one."""
    script = "import sys; sys.path.remove(''); sys.argv[0] = 'autogen'"
    program = ("-c", f"{script}; from autogen_ext.runtimes.__main__ import main; sys.exit(main())")
    worker = await start("worker", "shop:number", "--connect", NOWHERE, program=program)
    assert await worker.ended() == 3
    assert "of type int" in worker.text


@pytest.mark.parametrize("command", [[], ["host"], ["worker"], ["server"]])
async def test_the_help_says_with_what_a_command_ends(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from autogen_ext.runtimes.__main__ import main

    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert "128 + n" in capsys.readouterr().out
