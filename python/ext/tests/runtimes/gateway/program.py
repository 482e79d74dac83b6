"""A gateway in a process of its own, for tests that kill it.

    python program.py ADDRESS NATS_URL NAMESPACE

It tells its port when the system behind it is reached, and ends with who started it at the latest.
"""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost
from autogen_ext.runtimes.nats import NatsAgentRuntime


@asynccontextmanager
async def gateway_process(
    address: str, url: str, namespace: str
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, int]]:
    """Start a gateway; gives its process and port, and it is gone when this leaves."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, address, url, namespace, stdin=pipe, stdout=pipe
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        yield process, int(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


async def _main() -> None:
    address, url, namespace = sys.argv[1:]
    host = GrpcWorkerAgentRuntimeHost(address, gateway=lambda: NatsAgentRuntime(url, namespace=namespace))
    host.start()
    while not host.ready:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    print(host.port, flush=True)  # noqa: T201 - so it speaks
    await host.stop_when_signal()


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_main())
