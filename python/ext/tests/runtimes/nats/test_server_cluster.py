"""Three servers that stand for each other."""

import asyncio
from typing import Any

import pytest
from nats.errors import Error
from nats.js.errors import NoStreamResponseError

from autogen_ext.runtimes.nats._server_cluster import NatsCluster
from autogen_ext.runtimes.nats._server_config import NatsServerOptions, NatsUser
from autogen_ext.runtimes.nats._server_process import NatsServerError

from .conftest import NewClient
from .waiting import until


async def _publish(stream: Any, word: bytes) -> int:
    """Publish until it is stored; a cluster that chooses a new leader says no for some seconds."""
    async with asyncio.timeout(45):
        while True:
            try:
                return (await stream.publish("kept", word, timeout=1, headers={"Nats-Msg-Id": word.decode()})).seq
            except (NoStreamResponseError, Error):
                await asyncio.sleep(0.1)


@pytest.mark.timeout(120)
async def test_a_stream_outlives_one_of_three_servers(new_client: NewClient) -> None:
    async with NatsCluster() as cluster:
        assert len(set(cluster.urls)) == 3
        client = await new_client(cluster.urls[0])
        stream = client.jetstream()
        await stream.add_stream(name="kept", subjects=["kept"], num_replicas=3)
        assert await _publish(stream, b"one") == 1
        leader = (await stream.stream_info("kept")).cluster.leader
        dead = next(server for server in cluster.servers if server.options.name == leader)
        await dead.kill()
        assert await _publish(stream, b"two") == 2
        assert (await stream.stream_info("kept")).cluster.leader != leader
        await dead.start()
        await until(lambda: client.is_connected)
        assert await _publish(stream, b"three") == 3
        await client.close()
    assert cluster.servers == ()


@pytest.mark.timeout(120)
async def test_a_cluster_comes_back_with_its_data(new_client: NewClient) -> None:
    cluster = NatsCluster(NatsServerOptions(users=(NatsUser(token="secret"),)), name="another")
    try:
        await cluster.start()
        client = await new_client(cluster.urls[0], token="secret")
        stream = client.jetstream()
        await stream.add_stream(name="kept", subjects=["kept"], num_replicas=3)
        await _publish(stream, b"one")
        urls = cluster.urls
        await cluster.stop()
        await cluster.start()
        assert cluster.urls == urls
        await until(lambda: client.is_connected)
        assert await _publish(stream, b"two") == 2
        await client.close()
    finally:
        await cluster.close()


async def test_a_cluster_that_cannot_start_leaves_no_server() -> None:
    cluster = NatsCluster(NatsServerOptions(jetstream_domain="no.domain"))
    with pytest.raises(NatsServerError):
        await cluster.start()
    assert not any(server.running for server in cluster.servers)
    await cluster.close()


def test_a_cluster_has_servers() -> None:
    with pytest.raises(ValueError, match="at least one"):
        NatsCluster(size=0)
