"""Workers that come, go, share a type and may not do everything, as the system behind the gateway sees them."""

import asyncio
from typing import Any

import pytest

from autogen_core import AgentId, TopicId, TypeSubscription
from autogen_core.exceptions import NotPermittedError, UndeliverableException
from autogen_ext.runtimes.grpc import (
    GrpcWorkerAgentRuntime,
    GrpcWorkerAgentRuntimeHost,
    HostSecurity,
    RegistrationRefusedError,
    WorkerRights,
    WorkerSecurity,
)
from autogen_ext.runtimes.grpc.protos import agent_worker_pb2 as wire
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer

from .agents import Keeper, Word, knows_messages, speak, until
from .conftest import Place

SPEAKER = AgentId("speaker", "k")


async def lose(worker: GrpcWorkerAgentRuntime) -> None:
    """Take a worker away as if its process had been killed: its connection ends, and nothing comes after it."""
    running = worker._link._running
    assert running is not None
    running.cancel()
    await asyncio.wait([running])


async def test_a_request_to_a_worker_that_is_away_waits_for_it(place: Place) -> None:
    host = place.gateway()
    runtime = await place.nats()
    knows_messages(runtime)
    first = await place.worker(host)
    await speak(first, "speaker")
    await first.close()
    request = asyncio.create_task(runtime.send_message(Word("hello"), SPEAKER))
    await asyncio.sleep(0.5)
    assert not request.done()
    back = await speak(await place.worker(host), "speaker")
    assert await asyncio.wait_for(request, 20) == Word("HELLO")
    assert back.heard == ["k: hello"]


async def test_what_a_killed_worker_had_in_hand_another_one_gets(place: Place) -> None:
    host = place.gateway()
    runtime = await place.nats()
    knows_messages(runtime)
    killed = await place.worker(host, shared_types=["speaker"])
    cast = await speak(killed, "speaker")
    request = asyncio.create_task(runtime.send_message(Word("sleep 2"), SPEAKER))
    await asyncio.wait_for(cast.under_way.wait(), 10)
    other = await speak(await place.worker(host, shared_types=["speaker"]), "speaker")
    await lose(killed)
    assert await asyncio.wait_for(request, 40) == Word("slept")
    assert (cast.heard + other.heard)[-1] == "k: sleep 2"


async def test_who_waits_for_a_lost_worker_of_a_stateless_type_is_told(place: Place) -> None:
    options: dict[str, Any] = {"stateless_types": ["speaker"], "drain_timeout": 0.5}
    host = place.gateway(**options)
    runtime = await place.nats(**options)
    knows_messages(runtime)
    worker = await place.worker(host)
    cast = await speak(worker, "speaker")
    request = asyncio.create_task(runtime.send_message(Word("sleep 3"), SPEAKER))
    await asyncio.wait_for(cast.under_way.wait(), 10)
    await lose(worker)
    with pytest.raises(UndeliverableException, match="may have done the work"):
        await asyncio.wait_for(request, 30)


async def test_a_worker_whose_connection_breaks_goes_on_with_what_it_had(place: Place) -> None:
    """It is not asked twice, and nobody notices."""
    host = place.gateway()
    runtime = await place.nats()
    knows_messages(runtime)
    worker = await place.worker(host)
    cast = await speak(worker, "speaker")
    request = asyncio.create_task(runtime.send_message(Word("sleep 1.5"), SPEAKER))
    await asyncio.wait_for(cast.under_way.wait(), 10)
    connection = worker._link._connection
    assert connection is not None
    connection.data.cancel()
    assert await asyncio.wait_for(request, 20) == Word("slept")
    assert cast.heard == ["k: sleep 1.5"]
    assert await runtime.send_message(Word("hello"), SPEAKER) == Word("HELLO")


async def test_a_worker_that_stops_finishes_and_callers_notice_nothing(place: Place) -> None:
    """What it refuses since it is stopping goes to the other; what it has in hand it answers."""
    host = place.gateway(drain_timeout=2.0)
    runtime = await place.nats()
    knows_messages(runtime)
    leaving = await place.worker(host, shared_types=["speaker"])
    cast = await speak(leaving, "speaker")
    await speak(await place.worker(host, shared_types=["speaker"]), "speaker")

    def ask(word: str, key: object) -> asyncio.Task[Any]:
        return asyncio.create_task(runtime.send_message(Word(word), AgentId("speaker", f"key-{key}")))

    await asyncio.sleep(1)  # until both have their share
    await asyncio.gather(*(ask("hello", number) for number in range(20)))
    assert 0 < len(cast.heard) < 20
    in_hand = asyncio.create_task(
        runtime.send_message(Word("sleep 1"), AgentId("speaker", cast.heard[0].partition(":")[0]))
    )
    await until(lambda: "sleep" in cast.heard[-1])
    stopping = asyncio.create_task(leaving.close())
    await asyncio.sleep(0.1)
    requests = [ask(f"word-{number}", number) for number in range(20)]
    assert await asyncio.wait_for(in_hand, 20) == Word("slept")
    assert await asyncio.wait_for(asyncio.gather(*requests), 30) == [Word(f"WORD-{number}") for number in range(20)]
    await stopping


async def test_nobody_waits_for_ever_for_a_worker_that_stays_away(place: Place) -> None:
    host = place.gateway()
    runtime = await place.nats(reconnect_timeout=1.0)
    knows_messages(runtime)
    worker = await place.worker(host)
    await speak(worker, "speaker")
    await worker.close()
    with pytest.raises(UndeliverableException, match="no worker hosts it"):
        await asyncio.wait_for(runtime.send_message(Word("hello"), SPEAKER), 30)


async def test_workers_at_two_gateways_and_on_nats_share_a_type_each_key_on_one(place: Place) -> None:
    """Whoever asks, from whatever side."""
    first, second = place.gateway(), place.gateway()
    one = await place.worker(first, shared_types=["speaker"])
    two = await place.worker(second, shared_types=["speaker"])
    nats, outside = await place.nats(), await place.nats()
    casts = [await speak(runtime, "speaker") for runtime in (one, two, nats)]
    knows_messages(outside)
    await asyncio.sleep(1)  # what is handed over meanwhile changes its place
    for asker in (one, two, nats, outside):
        calls = [asker.send_message(Word("hello"), AgentId("speaker", f"key-{n}")) for n in range(60)]
        assert await asyncio.wait_for(asyncio.gather(*calls), 30) == [Word("HELLO")] * 60
    keys = [{heard.partition(":")[0] for heard in cast.heard} for cast in casts]
    assert all(keys)
    assert sum(map(len, keys)) == len(set[str]().union(*keys)) == 60


async def test_what_comes_while_no_gateway_runs_waits_for_the_next_and_its_workers_come_back(place: Place) -> None:
    first = place.gateway()
    runtime = await place.nats()
    knows_messages(runtime)
    worker = await place.worker(first)
    cast = await speak(worker, "speaker")
    await worker.add_subscription(TypeSubscription("news", "speaker"))
    port = first.port
    await first.stop(grace=0)
    request = asyncio.create_task(runtime.send_message(Word("hello"), SPEAKER))
    await runtime.publish_message(Word("news"), TopicId("news", "k"))
    place.gateway(f"127.0.0.1:{port}")
    assert await asyncio.wait_for(request, 40) == Word("HELLO")
    await until(lambda: len(cast.heard) == 2)
    assert sorted(cast.heard) == ["k: hello", "k: news"]
    answering = await speak(runtime, "at-nats")
    assert await worker.send_message(Word("back"), AgentId("at-nats", "k")) == Word("BACK")
    assert answering.heard == ["k: back"]


async def test_a_gateway_that_stops_lets_workers_finish_what_they_have_in_hand_and_publishes_all(place: Place) -> None:
    host = place.gateway(drain_timeout=10.0)
    runtime = await place.nats()
    knows_messages(runtime)
    worker = await place.worker(host)
    cast = await speak(worker, "speaker")
    at_nats = await speak(runtime, "at-nats")
    await runtime.add_subscription(TypeSubscription("news", "at-nats"))
    request = asyncio.create_task(runtime.send_message(Word("sleep 1"), SPEAKER))
    await asyncio.wait_for(cast.under_way.wait(), 10)
    await worker.publish_message(Word("last"), TopicId("news", "k"))
    await asyncio.wait_for(host.stop(), 20)
    assert await asyncio.wait_for(request, 10) == Word("slept")
    await until(lambda: at_nats.heard == ["k: last"])


async def test_a_gateway_stops_in_time_though_the_system_behind_it_is_away(place: Place) -> None:
    """And whoever waits for that is told."""
    async with NatsServer() as server:
        host = GrpcWorkerAgentRuntimeHost(
            "127.0.0.1:0", gateway=lambda: NatsAgentRuntime(server.url, drain_timeout=1.0)
        )
        host.start()
        worker = await place.worker(host)
        runtime = NatsAgentRuntime(server.url)
        await runtime.start()
        cast = await speak(runtime, "speaker")
        knows_messages(worker)
        request = asyncio.create_task(worker.send_message(Word("sleep 60"), SPEAKER))
        await asyncio.wait_for(cast.under_way.wait(), 10)
        await server.stop()
        await asyncio.wait_for(host.stop(grace=1), 20)
        with pytest.raises(UndeliverableException, match="host stopped"):
            await asyncio.wait_for(request, 10)
        await asyncio.wait_for(runtime.close(), 40)


async def test_requests_between_workers_of_one_gateway_do_not_leave_it(place: Place) -> None:
    host = place.gateway()
    one, two = await place.worker(host), await place.worker(host)
    await speak(one, "speaker")
    knows_messages(two)
    gateway = host._servicer._gateway if host._servicer is not None else None
    assert gateway is not None
    gateway.client.channel = None  # nothing could be sent there
    assert await two.send_message(Word("hello"), SPEAKER) == Word("HELLO")


async def test_rights_hold_for_what_leaves_by_the_gateway(place: Place) -> None:
    rights = WorkerRights(call=("public*",), publish=("open",), register=("mine",))
    security = HostSecurity(tokens={"secret": rights})
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0", security=security, gateway=place.runtime)
    host.start()
    place.made.append(host.stop)
    worker = await place.worker(host, security=WorkerSecurity(token="secret"))
    knows_messages(worker)
    runtime = await place.nats()
    public, admin = await speak(runtime, "public"), await speak(runtime, "admin")
    await runtime.add_subscription(TypeSubscription("closed", "admin"))
    assert await worker.send_message(Word("hello"), AgentId("public", "k")) == Word("HELLO")
    with pytest.raises(NotPermittedError):
        await worker.send_message(Word("hello"), AgentId("admin", "k"))
    with pytest.raises(NotPermittedError):
        await worker.agent_save_state(AgentId("admin", "k"))
    with pytest.raises(NotPermittedError):
        await worker.publish_message(Word("hello"), TopicId("closed", "k"))
    with pytest.raises(NotPermittedError):
        await speak(worker, "admin")
    assert (public.heard, admin.heard) == (["k: hello"], [])


async def test_the_gateway_answers_no_question_that_names_itself(place: Place) -> None:
    """Else a worker could ask for what it has no right to."""
    host = place.gateway()
    worker = await place.worker(host)
    runtime = await place.nats()
    await Keeper.register(runtime, "keeper", Keeper)
    assert host._servicer is not None
    gateway = host._servicer._gateway
    assert gateway is not None
    question = wire.SaveStateRequest(agentId=wire.AgentId(type="keeper", key="k"))
    told = asyncio.get_running_loop().create_future()
    worker._control._open["q"] = told
    message = wire.ControlMessage(
        rpc_id="q", destination=f"clientid={gateway.client.id}", respond_to=f"clientid={worker._link.client_id}"
    )
    message.rpcMessage.Pack(question)
    worker._link.control_outbox.put(message)
    answer = wire.SaveStateResponse()
    (await asyncio.wait_for(told, 10)).rpcMessage.Unpack(answer)
    assert "must name an agent" in answer.error


async def test_what_the_system_behind_refuses_the_gateway_refuses(place: Place) -> None:
    """An agent type whose agents live on NATS one by one cannot be a worker's, and the worker is told."""
    host = place.gateway()
    runtime = await place.nats()
    await Keeper().register_instance(runtime, AgentId("single", "k"))
    worker = await place.worker(host)
    with pytest.raises(RegistrationRefusedError, match="instances"):
        await speak(worker, "single")
    await speak(worker, "another")
    knows_messages(runtime)
    assert await runtime.send_message(Word("hello"), AgentId("another", "k")) == Word("HELLO")


async def test_without_the_system_behind_workers_are_told_and_later_it_works(place: Place) -> None:
    """The server comes up after the gateway."""
    server = NatsServer()
    await server.start()
    url = server.url
    await server.stop()
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0", gateway=lambda: NatsAgentRuntime(url, drain_timeout=1.0))
    host.start()
    try:
        worker = await place.worker(host)
        with pytest.raises(Exception, match="system behind this host"):
            await speak(worker, "early")
        assert not host.ready
        await server.start()
        await until(lambda: host.ready)
        await speak(worker, "speaker")
        runtime = NatsAgentRuntime(url)
        await runtime.start()
        knows_messages(runtime)
        assert await runtime.send_message(Word("hello"), SPEAKER) == Word("HELLO")
        await runtime.close()
        await worker.close()
    finally:
        await host.stop(grace=0)
        await server.close()


async def test_a_host_may_be_a_gateway_to_another_host(place: Place) -> None:
    """What stands behind is any runtime whose agents are shared."""
    far = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    far.start()
    near = GrpcWorkerAgentRuntimeHost("127.0.0.1:0", gateway=lambda: GrpcWorkerAgentRuntime(f"127.0.0.1:{far.port}"))
    near.start()
    place.made += [far.stop, near.stop]
    here, there = await place.worker(near), await place.worker(far)
    at_near, at_far = await speak(here, "at-near"), await speak(there, "at-far")
    for runtime, agent_type in ((here, "at-near"), (there, "at-far")):
        await runtime.add_subscription(TypeSubscription("news", agent_type))
    assert await here.send_message(Word("ask at-near hello"), AgentId("at-far", "k")) == Word("HELLO")
    await here.publish_message(Word("one"), TopicId("news", "k"))
    await until(lambda: len(at_far.heard) == 2 and len(at_near.heard) == 2)
    await there.publish_message(Word("two"), TopicId("news", "k"))
    await until(lambda: len(at_far.heard) == 3 and len(at_near.heard) == 3)
    await asyncio.sleep(0.3)
    assert at_near.heard == ["k: hello", "k: one", "k: two"]
    assert at_far.heard == ["k: ask at-near hello", "k: one", "k: two"]
