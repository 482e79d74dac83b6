"""A worker of AutoGen 0.7.5 at our host, and ours at a host of 0.7.5, each in a process and environment of its own."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
    try_get_known_serializers_for_type,
)
from autogen_core.exceptions import RemoteError, UndeliverableException
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from . import reference
from .agents import speak, speaker, until
from .processes import worker_process
from .reference_peer import Note, Word


class Unwritable:
    """Nothing that could be written."""


class Ours(RoutedAgent):
    heard: list[str] = []
    waits = False
    under_way = asyncio.Event()

    def __init__(self) -> None:
        super().__init__("ours")

    @message_handler
    async def word(self, message: Word, ctx: MessageContext) -> Any:
        if message.text == "fail":
            raise KeyError("boom")
        if message.text == "nothing":
            return None
        if message.text == "plain":
            return {"a": [1, None]}
        if message.text == "odd":
            return Unwritable()
        if message.text == "from the peer" and self.waits:
            self.under_way.set()
            await asyncio.sleep(30)
        return Word(message.text.upper())

    @message_handler
    async def note(self, message: Note, ctx: MessageContext) -> None:
        self.heard.append(f"{message.text} to {self.id}")


@asynccontextmanager
async def our_worker(address: str) -> AsyncGenerator[GrpcWorkerAgentRuntime]:
    runtime = GrpcWorkerAgentRuntime(address, drain_timeout=0.1)
    await runtime.start()
    for kind in (Word, Note):
        runtime.add_message_serializer(try_get_known_serializers_for_type(kind))
    Ours.heard, Ours.waits, Ours.under_way = [], False, asyncio.Event()
    await Ours.register(runtime, "ours", Ours)
    await runtime.add_subscription(TypeSubscription("news", "ours"))
    try:
        yield runtime
    finally:
        await runtime.close()


@asynccontextmanager
async def meeting(python: Path, whose: str) -> AsyncGenerator[tuple[reference.Peer, GrpcWorkerAgentRuntime]]:
    """A host of one side, with a worker of each side."""
    if whose == "our host":
        host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
        host.start()
        address = f"127.0.0.1:{host.port}"
        try:
            async with reference.peer(python, "worker", address) as theirs, our_worker(address) as ours:
                yield theirs, ours
        finally:
            await host.stop(grace=0)
        return
    address = reference.free_address()
    async with (
        reference.peer(python, "host", address),
        reference.peer(python, "worker", address) as theirs,
        our_worker(address) as ours,
    ):
        yield theirs, ours


both = pytest.mark.parametrize("whose", ["our host", "their host"])


def test_the_descriptors_are_the_same_bytes(reference_python: Path) -> None:
    """Else the two packages could not be loaded by one process."""
    peer = Path(__file__).with_name("reference_peer.py")
    told = [
        subprocess.run([python, peer, "descriptors"], capture_output=True, check=True).stdout
        for python in (reference_python, sys.executable)
    ]
    assert told[0] == told[1]


@both
async def test_our_worker_calls_theirs(reference_python: Path, whose: str) -> None:
    async with meeting(reference_python, whose) as (theirs, ours):
        answer = await ours.send_message(Word("abc"), AgentId("peer", "p"), sender=AgentId("ours", "me"), timeout=10)
        assert answer == Word("cba")
        assert await theirs.hears() == {"word": "abc", "rpc": True, "sender": "ours/me", "key": "p"}


@both
async def test_only_a_host_of_ours_is_asked_often_whether_it_lives(reference_python: Path, whose: str) -> None:
    """Theirs ends the connection of a worker that asks every ten seconds."""
    async with meeting(reference_python, whose) as (_, ours):
        assert ours._link._keep_alive is (whose == "our host")


@both
async def test_an_error_of_theirs_reaches_us_with_its_text(reference_python: Path, whose: str) -> None:
    async with meeting(reference_python, whose) as (_, ours):
        with pytest.raises(RemoteError, match="no such word"):
            await ours.send_message(Word("fail"), AgentId("peer", "p"), timeout=10)


@both
async def test_their_worker_calls_ours(reference_python: Path, whose: str) -> None:
    async with meeting(reference_python, whose) as (theirs, _):
        await theirs.does(send="hello", to="ours")
        assert await theirs.hears() == {"answer": "HELLO"}


@both
async def test_an_error_of_ours_reaches_them_with_its_text(reference_python: Path, whose: str) -> None:
    async with meeting(reference_python, whose) as (theirs, _):
        await theirs.does(send="fail", to="ours")
        assert await theirs.hears() == {"error": "Exception", "text": "'boom'"}


@both
@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("nothing", ("NoneType", "application/json", "null")),
        ("plain", ("dict", "application/json", '{"a": [1, null]}')),
    ],
)
async def test_a_plain_answer_reaches_them_as_json(
    reference_python: Path, whose: str, order: str, answer: tuple[str, str, str]
) -> None:
    """Their own worker would leave the caller waiting. They have no type for it, so it is an `UnknownPayload`."""
    async with meeting(reference_python, whose) as (theirs, _):
        await theirs.does(send=order, to="ours")
        assert await theirs.hears() == {"unknown": list(answer)}


@both
@pytest.mark.parametrize(
    ("message", "to", "text"),
    [
        ("odd", "ours", "Unknown type Unwritable"),
        ("unreadable", "ours", "cannot be read"),
        ("hello", "broken", "no parts"),
    ],
)
async def test_whatever_goes_wrong_at_ours_they_are_told(
    reference_python: Path, whose: str, message: str, to: str, text: str
) -> None:
    """An answer that cannot be written, a payload that cannot be read, a factory that fails."""
    async with meeting(reference_python, whose) as (theirs, ours):
        await ours.register_factory("broken", _broken)
        await theirs.does(send=message, to=to)
        told = await theirs.hears()
        assert told["error"] == "Exception"
        assert text in told["text"]


def _broken() -> Ours:
    raise RuntimeError("no parts")


@both
async def test_a_handler_of_theirs_calls_back_while_we_wait(reference_python: Path, whose: str) -> None:
    async with meeting(reference_python, whose) as (_, ours):
        answer = await ours.send_message(Word("ask ours"), AgentId("peer", "p"), timeout=10)
        assert answer == Word("it said FROM THE PEER")


@both
async def test_events_go_both_ways(reference_python: Path, whose: str) -> None:
    async with meeting(reference_python, whose) as (theirs, ours):
        await ours.publish_message(Note(text="a note", times=3), TopicId("notes", "key"))
        seen = {"note": "a note", "times": 3, "topic": "notes/key", "rpc": False, "key": "key"}
        assert await theirs.hears() == seen
        await theirs.does(publish="news of theirs", topic="news")
        await until(lambda: bool(Ours.heard))
        assert Ours.heard == ["news of theirs to ours/s"]


async def test_our_host_answers_their_worker_if_nobody_is_there(reference_python: Path) -> None:
    """Their own host would leave the caller waiting."""
    async with meeting(reference_python, "our host") as (theirs, _):
        await theirs.does(send="hello", to="nobody")
        told = await theirs.hears()
        assert told["error"] == "Exception"
        assert "no agent type 'nobody'" in told["text"]


async def test_a_lost_worker_of_theirs_is_told_to_who_waits(reference_python: Path) -> None:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    address = f"127.0.0.1:{host.port}"
    async with our_worker(address) as ours:
        async with reference.peer(reference_python, "worker", address):
            assert await ours.send_message(Word("abc"), AgentId("peer", "p"), timeout=10) == Word("cba")
            Ours.waits = True
            call = asyncio.create_task(ours.send_message(Word("ask ours"), AgentId("peer", "p")))
            await Ours.under_way.wait()
        with pytest.raises(UndeliverableException, match="lost"):
            await asyncio.wait_for(call, 10)
    await host.stop(grace=0)


async def test_their_callers_of_a_lost_worker_are_told_by_our_host(reference_python: Path) -> None:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    address = f"127.0.0.1:{host.port}"
    async with reference.peer(reference_python, "worker", address) as theirs:
        async with worker_process(address, "far"):
            await theirs.does(send="sleep 60", to="far")
            await until(lambda: bool(_open_calls(host)))
        told = await theirs.hears()
        assert told["error"] == "Exception"
        assert "was lost" in told["text"]
    await host.stop(grace=0)


async def test_what_a_lost_worker_of_theirs_waited_for_is_cancelled(reference_python: Path) -> None:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    address = f"127.0.0.1:{host.port}"
    runtime = GrpcWorkerAgentRuntime(address)
    await runtime.start()
    await speak(runtime, "far")
    agent = await speaker(runtime, "far", "k")
    async with reference.peer(reference_python, "worker", address) as theirs:
        await theirs.does(send="sleep 60", to="far")
        await agent.under_way.wait()
    await until(lambda: agent.cancelled == 1)
    await runtime.close()
    await host.stop(grace=0)


def _open_calls(host: GrpcWorkerAgentRuntimeHost) -> object:
    assert host._servicer is not None
    return host._servicer._router._calls
