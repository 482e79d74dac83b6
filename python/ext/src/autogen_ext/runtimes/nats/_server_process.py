"""A server's process, which does not outlive this one, however this one ends. Knows nothing of what the server does.

Between the two stands a small Python process, the keeper: it starts the server, obeys letters that come through a pipe, and
ends the server when the pipe breaks or its parent changes. That works on every system and from any thread; and as the keeper
alone waits for the server, no letter ever reaches another process which has got the server's id meanwhile. On Linux the server
ends with a killed keeper, too.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from autogen_core.exceptions import AutoGenError

__all__ = ["NatsServerError", "NatsServerMissingError", "ServerProcess", "find_nats_server", "free_ports"]

_NEW_GROUP = 0x0000_0200  # `subprocess.CREATE_NEW_PROCESS_GROUP`, which other systems do not name

_KEEPER = """
import os, shutil, subprocess, sys, threading, time
parent, log, leavings, *command = sys.argv[1:]
out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
bond = None
if sys.platform == "linux":
    import ctypes
    libc = ctypes.CDLL(None)
    # PR_SET_PDEATHSIG, SIGKILL: for a keeper that is itself killed. This is its main thread, so it ends with the keeper only.
    bond = lambda: libc.prctl(1, 9)
try:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=bond)
except (OSError, subprocess.SubprocessError) as error:
    print("!", error, flush=True)
    os._exit(1)
orphaned = threading.Event()
def forsaken():
    orphaned.set()
    server.kill()
def obey():
    while order := os.read(0, 1):
        server.terminate() if order == b"t" else server.kill()
    forsaken()
def watch():
    while os.getppid() == int(parent):
        time.sleep(0.5)
    forsaken()
for work in (obey, watch):
    threading.Thread(target=work, daemon=True).start()
try:
    print(server.pid, flush=True)
except OSError:
    forsaken()
code = server.wait()
if orphaned.is_set() and leavings:
    shutil.rmtree(leavings, ignore_errors=True)
os._exit(code if code >= 0 else 128 - code)
"""


class NatsServerMissingError(AutoGenError, FileNotFoundError):
    """There is no program `nats-server`."""

    def __init__(self, looked: Sequence[str]) -> None:
        super().__init__(
            f'No nats-server was found ({", ".join(looked)}). Install it with pip install "autogen-ext[nats]", or name the '
            "program in the environment variable NATS_SERVER."
        )

    def __str__(self) -> str:
        return str(self.args[0])


class NatsServerError(AutoGenError, RuntimeError):
    """The server did not start, or did not become ready in time.

    Attributes:
        log: The end of what the server itself said.
    """

    def __init__(self, text: str, log: str = "") -> None:
        super().__init__(f"{text}\nThe server said:\n{log}" if log else text)
        self.log = log


def find_nats_server() -> str:
    """Return the path of the server: that in `NATS_SERVER`, that beside this Python, or that on the `PATH`.

    Raises:
        NatsServerMissingError: There is none.
    """
    if given := os.environ.get("NATS_SERVER"):
        found = shutil.which(given)
        if found is None:
            raise NatsServerMissingError([f"NATS_SERVER is {given!r}, which is no program"])
        return found
    name = "nats-server.exe" if os.name == "nt" else "nats-server"
    scripts = sysconfig.get_path("scripts")
    beside = Path(scripts, name)
    if beside.is_file():
        return str(beside)
    if found := shutil.which(name):
        return found
    raise NatsServerMissingError([f"not in {scripts}", "not on the PATH"])


def free_ports(count: int, host: str) -> tuple[int, ...]:
    """Return ports of a host that nobody listens on now. Another program may take one before they are used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as held:  # all at once, so that they differ
        sockets = [held.enter_context(socket.socket(family)) for _ in range(count)]
        for one in sockets:
            one.bind((host, 0))
        return tuple(one.getsockname()[1] for one in sockets)


class ServerProcess:
    """A running server. All methods block, but for no longer than they say; none raises when the server is gone.

    Args:
        command: The program and its arguments.
        log: The file that its output is appended to.
        leavings: A folder to remove if this process dies before the server; None: nothing.

    Raises:
        NatsServerError: The program cannot be started.
    """

    def __init__(self, command: Sequence[str], log: Path, leavings: Path | None = None) -> None:
        arguments = [str(os.getpid()), str(log), str(leavings or ""), *command]
        # In a session of its own, so that Ctrl-C in a terminal reaches us and not the server that we still need.
        self._keeper = subprocess.Popen(  # noqa: S603 - our own interpreter with the text above
            [sys.executable, "-I", "-S", "-c", _KEEPER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=os.name != "nt",
            creationflags=_NEW_GROUP if os.name == "nt" else 0,
        )
        assert self._keeper.stdout is not None
        with self._keeper.stdout as answer:
            said = answer.readline().decode(errors="replace").strip()
        if not said.isdigit():
            self.wait(5)
            raise NatsServerError(f"{command[0]} cannot be started: {said.lstrip('! ') or 'its keeper failed'}.")
        self.pid = int(said)

    @property
    def running(self) -> bool:
        """Whether the server has not ended."""
        return self._keeper.poll() is None

    def terminate(self) -> None:
        """Ask the server to end in good order."""
        self._order(b"t")

    def kill(self) -> None:
        """End the server at once."""
        self._order(b"k")

    def wait(self, seconds: float) -> bool:
        """Wait for the server's end for so many seconds; tell whether it came."""
        try:
            self._keeper.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        return True

    def _order(self, letter: bytes) -> None:
        assert self._keeper.stdin is not None
        try:
            self._keeper.stdin.write(letter)
        except (BrokenPipeError, ValueError):  # the server is gone, and its keeper with it
            return
