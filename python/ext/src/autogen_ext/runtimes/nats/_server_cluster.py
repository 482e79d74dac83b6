"""Three NATS servers, or more, that stand for each other. For tests and demonstrations: all are on this host.

Stands on `NatsServer`.
"""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from ._server import NatsServer
from ._server_config import NatsClusterMember, NatsServerOptions
from ._server_process import NatsServerError, free_ports

__all__ = ["NatsCluster"]

_ATTEMPTS = 3
"""The ports between members must be known before the first is started, so that another program may take one meanwhile."""


class NatsCluster:
    """A cluster of NATS servers; streams with as many replicas survive the loss of less than half of them.

        async with NatsCluster() as cluster:
            runtime = NatsAgentRuntime(cluster.urls)

    Args:
        options: How each server is run; their names and monitoring pages are set here.
        size: How many servers; an odd number.
        store_dir: Where streams are kept, in a folder for each server; None: in temporary folders, which are removed.
        name: The cluster's name.
        start_timeout: Seconds in which the servers must have found each other and chosen a leader.

    Attributes:
        servers: The servers; each may be stopped, killed and started by itself.
    """

    def __init__(
        self,
        options: NatsServerOptions | None = None,
        *,
        size: int = 3,
        store_dir: str | Path | None = None,
        name: str = "autogen",
        start_timeout: float = 30.0,
    ) -> None:
        if size < 1:
            raise ValueError("A cluster has at least one server.")
        self._options = options or NatsServerOptions()
        self._size = size
        self._store = None if store_dir is None else Path(store_dir)
        self._name = name
        self._start_timeout = start_timeout
        self.servers: tuple[NatsServer, ...] = ()

    @property
    def urls(self) -> list[str]:
        """The addresses for clients, of all servers."""
        return [server.url for server in self.servers]

    async def start(self) -> Self:
        """Start the servers and wait until they can keep streams. A cancelled call leaves no server running.

        Raises:
            RuntimeError: A server runs already.
            NatsServerMissingError: No server program is installed (a `FileNotFoundError`).
            NatsServerError: A server ended, or they were not ready in time.
        """
        for _ in range(_ATTEMPTS):
            fresh = not self.servers
            self.servers = self.servers or self._make()
            try:
                failures = await self._start_all()
                if not failures:
                    await self._until_ready()
                    return self
            except BaseException:
                await self.stop()
                raise
            await self.stop()
            if not (fresh and any("address already in use" in failure.log for failure in failures)):
                raise failures[0]
            await self.close()
        raise NatsServerError("No free ports were found for the members of the cluster.")

    async def _start_all(self) -> list[NatsServerError]:
        """Start all servers at a time; return why some did not."""
        results = await asyncio.gather(*(server.start() for server in self.servers), return_exceptions=True)
        failures: list[NatsServerError] = []
        for result in results:
            if isinstance(result, NatsServerError):
                failures.append(result)
            elif isinstance(result, BaseException):
                raise result
        return failures

    async def stop(self) -> None:
        """End all servers; they keep their ports and data for another start."""
        await asyncio.gather(*(server.stop() for server in self.servers))

    async def close(self) -> None:
        """Stop the servers for good, and remove their temporary files."""
        servers, self.servers = self.servers, ()
        await asyncio.gather(*(server.close() for server in servers))

    async def __aenter__(self) -> Self:
        try:
            return await self.start()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def _make(self) -> tuple[NatsServer, ...]:
        ports = free_ports(self._size, self._options.host)
        servers: list[NatsServer] = []
        for number, port in enumerate(ports, 1):
            name = f"{self._name}-{number}"
            options = replace(
                self._options,
                name=name,
                monitoring=True,
                cluster=NatsClusterMember(name=self._name, port=port, members=ports),
            )
            store = None if self._store is None else self._store / name
            servers.append(NatsServer(options, store_dir=store, start_timeout=self._start_timeout))
        return tuple(servers)

    async def _until_ready(self) -> None:
        """Wait until each server says that it is well, which it is once there is a leader for streams."""
        told: dict[str, str] = {}
        try:
            async with asyncio.timeout(self._start_timeout):
                while True:
                    if all([await _healthy(server, told) for server in self.servers]):
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            said = "; ".join(f"{name}: {text}" for name, text in sorted(told.items()))
            raise NatsServerError(
                f"The cluster was not ready within {self._start_timeout:g} seconds ({said}).", self.servers[0].log()
            ) from None


async def _healthy(server: NatsServer, told: dict[str, str]) -> bool:
    url = server.monitoring_url
    assert url is not None
    port = int(url.rpartition(":")[2])
    try:
        reader, writer = await asyncio.open_connection(server.options.host, port)
    except OSError as error:
        told[str(server.options.name)] = str(error)
        return False
    try:
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    well = b" 200 " in head.partition(b"\r\n")[0]
    told[str(server.options.name)] = "ok" if well else _reason(body)
    return well


def _reason(body: bytes) -> str:
    try:
        said: Any = json.loads(body)
        return str(said["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]
