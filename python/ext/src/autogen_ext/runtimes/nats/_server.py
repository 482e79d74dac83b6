"""A NATS server with JetStream for development, tests and single hosts. Stands on its process and configuration.

In production use a cluster that somebody operates, and give the runtime its addresses.
"""

import asyncio
import json
import shutil
import tempfile
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from ._server_config import NatsServerOptions
from ._server_process import NatsServerError, ServerProcess, find_nats_server, free_ports
from ._server_render import ServerPorts, write_config

__all__ = ["NatsServer"]

T = TypeVar("T")

_LOG_TAIL = 4_000
"""Characters of the server's log that an error shows."""

_LOOK_S = 0.01
"""Between two looks whether the server is ready; it takes about 0.03 s."""


class NatsServer:
    """A NATS server on a free port of this host, which ends with this process, also if that is killed.

        async with NatsServer() as server:
            runtime = NatsAgentRuntime(server.url)

    It may be stopped and started again; it then has the same port and the same data. Leaving the context stops it, and removes
    the data unless `store_dir` was given. It belongs to no event loop: one may start it, and another stop it.

    Args:
        options: How the server is run.
        store_dir: Where streams are kept; None: in a temporary folder, which is removed.
        port: The port to listen on; 0 takes a free one.
        start_timeout: Seconds in which the server must be ready.
        stop_timeout: Seconds in which the server must have ended after it was asked to; then it is killed.

    Raises:
        NatsServerMissingError: From `start`: no server program is installed (a `FileNotFoundError`).
        NatsServerError: From `start`: the server did not become ready; its own words are in the error.
    """

    def __init__(
        self,
        options: NatsServerOptions | None = None,
        *,
        store_dir: str | Path | None = None,
        port: int = 0,
        start_timeout: float = 10.0,
        stop_timeout: float = 10.0,
    ) -> None:
        self.options = options or NatsServerOptions()
        self._store = None if store_dir is None else Path(store_dir)
        leaf = self.options.leaf_listen
        self._ports = ServerPorts(client=port, leaf=0 if leaf is None else leaf.port)
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._process: ServerProcess | None = None
        self._folder: Path | None = None
        self._changing = asyncio.Lock()

    # Where it is

    @property
    def port(self) -> int:
        """The port for clients; the same after a restart."""
        return self._known(self._ports.client)

    @property
    def url(self) -> str:
        """The address for clients."""
        return self._url("nats" if self.options.tls is None else "tls", self.port)

    @property
    def leaf_url(self) -> str:
        """The address for leaf nodes, if there is one."""
        return self._url("nats-leaf" if self.options.tls is None else "tls", self._known(self._ports.leaf))

    @property
    def monitoring_url(self) -> str | None:
        """The address of the monitoring pages; None without them."""
        return self._url("http", self._known(self._ports.monitoring)) if self.options.monitoring else None

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            RuntimeError: It does not run.
        """
        if self._process is None:
            raise RuntimeError("The NATS server does not run; start it first.")
        return self._process.pid

    @property
    def store_dir(self) -> Path:
        """Where streams are kept."""
        if self._store is not None:
            return self._store
        if self._folder is None:
            raise RuntimeError("The NATS server was not started yet, so it has no folder.")
        return self._folder / "store"

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.running

    def log(self) -> str:
        """Return the end of what the server said since it was first started."""
        if self._folder is None:
            return ""
        path = self._folder / "server.log"
        return path.read_text(errors="replace")[-_LOG_TAIL:] if path.exists() else ""

    # Its life

    async def start(self) -> Self:
        """Start the server and wait until it accepts connections. A cancelled call leaves no server running.

        Raises:
            RuntimeError: It runs already.
            NatsServerMissingError: No server program is installed (a `FileNotFoundError`).
            NatsServerError: It ended, or was not ready in time.
        """
        async with self._changing:
            if self.running:
                raise RuntimeError("The NATS server runs already.")
            await self._end_process(gently=False)  # of one that crashed, the pipe is still open
            executable = find_nats_server()
            try:
                async with asyncio.timeout(self._start_timeout):
                    while True:
                        if await self._attempt(executable):
                            break
                        await asyncio.sleep(0.2)
            except TimeoutError:
                raise NatsServerError(
                    f"The NATS server was not ready within {self._start_timeout:g} seconds.", self.log()
                ) from None
        return self

    async def stop(self) -> None:
        """End the server in good order; kill it if that takes too long. It keeps its port and data for another start."""
        await self._end(gently=True)

    async def kill(self) -> None:
        """End the server at once, as a crash would. It keeps its port, and what it had written, for another start."""
        await self._end(gently=False)

    async def close(self) -> None:
        """Stop the server for good, and remove its temporary files."""
        try:
            await self.stop()
        finally:
            if self._folder is not None:
                folder, self._folder = self._folder, None
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        try:
            return await self.start()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    # How

    async def _attempt(self, executable: str) -> bool:
        """Start the server; tell whether it is ready. It is not if its port is still taken by who knows whom."""
        folder = self._make_folder()
        begin = self._log_size()
        ports = folder / "ports"
        leaf = self.options.leaf_listen
        chosen = (
            leaf is not None and not self._ports.leaf
        )  # the server would take a free one, but it does not say which
        if leaf is not None and chosen:
            self._ports.leaf = free_ports(1, leaf.host)[0]

        def launch() -> ServerProcess:
            config = write_config(self.options, self._ports, self.store_dir, folder)
            command = [executable, "-c", str(config), "--ports_file_dir", str(ports)]
            return ServerProcess(command, folder / "server.log", folder)

        launched = asyncio.ensure_future(asyncio.to_thread(launch))
        try:
            process = await asyncio.shield(launched)
            self._process = process
            await self._until_ready(process, ports)
        except BaseException as error:
            if not launched.done():  # cancelled while it starts: it must not be left alone
                await asyncio.wait({launched})
            if launched.exception() is None:
                self._process = launched.result()
                await self._end_process(gently=False)
            if isinstance(error, NatsServerError) and (self._ports.client or chosen) and self._port_taken(begin):
                if chosen:
                    self._ports.leaf = 0
                return False
            raise
        return True

    def _make_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="autogen-nats-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        ports = self._folder / "ports"
        ports.mkdir(exist_ok=True)
        for old in ports.iterdir():
            old.unlink()
        return self._folder

    async def _until_ready(self, process: ServerProcess, folder: Path) -> None:
        while True:
            if not process.running:
                raise NatsServerError("The NATS server ended while it started.", self.log())
            found = _read_ports(folder)
            if found is not None and await self._greets(found):
                break
            await asyncio.sleep(_LOOK_S)
        self._ports.client = found["nats"]
        self._ports.monitoring = found.get("monitoring", 0)

    async def _greets(self, ports: dict[str, int]) -> bool:
        """Tell whether the server accepts a connection, and speaks first if it does that in plain text."""
        try:
            reader, writer = await asyncio.open_connection(self.options.host, ports["nats"])
        except OSError:
            return False
        try:
            if self.options.tls is not None and self.options.tls.handshake_first:
                return True
            return (await reader.read(4)).startswith(b"INFO")
        except OSError:
            return False
        finally:
            writer.close()
            await _quietly(writer.wait_closed)

    async def _end(self, *, gently: bool) -> None:
        async with self._changing:
            await self._end_process(gently=gently)

    async def _end_process(self, *, gently: bool) -> None:
        process = self._process
        if process is None:
            return

        def end() -> bool:
            if gently:
                process.terminate()
                if process.wait(self._stop_timeout):
                    return True
            process.kill()
            return process.wait(self._stop_timeout)

        if not await _to_the_end(asyncio.to_thread(end)):
            raise NatsServerError(f"The NATS server (process {process.pid}) cannot be ended.", self.log())
        self._process = None

    def _log_size(self) -> int:
        path = None if self._folder is None else self._folder / "server.log"
        return path.stat().st_size if path is not None and path.exists() else 0

    def _port_taken(self, since: int) -> bool:
        assert self._folder is not None
        return b"address already in use" in (self._folder / "server.log").read_bytes()[since:]

    def _known(self, port: int) -> int:
        if not port:
            raise RuntimeError("The NATS server was not started yet, so it has no port.")
        return port

    def _url(self, scheme: str, port: int) -> str:
        host = self.options.host
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _read_ports(folder: Path) -> dict[str, int] | None:
    """Return the ports by their use, as the server wrote them; None if it has not yet."""
    for path in folder.glob("*.ports"):
        try:
            said = cast("dict[str, list[str]]", json.loads(path.read_text()))
        except ValueError:  # it is still writing
            return None
        return {use: urlsplit(urls[0]).port or 0 for use, urls in said.items() if urls}
    return None


async def _to_the_end(work: Awaitable[T]) -> T:
    """Await work that must not be left half done: a cancellation waits for its end."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _quietly(close: Callable[[], Awaitable[Any]]) -> None:
    try:
        await close()
    except OSError:  # the other side closed first, which is as good
        return
