"""What holds for a worker's lease when its signs of life are not taken for a while."""

import asyncio

from autogen_ext.runtimes.nats import NatsAgentRuntime
from autogen_ext.runtimes.nats._lease import Lease
from autogen_ext.runtimes.nats._subjects import Names

from .conftest import NewServer
from .waiting import until


async def test_a_lease_that_lapsed_holds_again_only_when_its_holder_has_taken_note(
    new_server: NewServer, namespace: str
) -> None:
    """Otherwise a worker that was stopped for a while could go on as if nobody had taken what it had."""
    server = await new_server()
    maker = NatsAgentRuntime(server.url, namespace=namespace)  # it makes the bucket
    await maker.start()
    lease = Lease([server.url], None, Names(namespace), "w", 1.0)
    lease.start({"pools": [], "leaving": False})
    try:
        await until(lambda: lease.valid)
        await server.stop()
        await until(lambda: not lease.valid)
        await server.start()
        await until(lambda: maker.ready)
        await asyncio.sleep(1.5)  # signs are taken again by now
        assert not lease.valid
        lease.resume()
        assert lease.valid
    finally:
        await lease.stop()
        await maker.close()
    assert not lease.valid
