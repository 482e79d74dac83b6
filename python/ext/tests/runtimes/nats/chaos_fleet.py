"""Workers in processes of their own, which tests kill, hang and stop; and what their agents did, from the files they wrote.

The same file is the workers' program:

    python chaos_fleet.py URL NAMESPACE NAME FOLDER TYPES [OPTION=VALUE ...]

A worker says "ready", ends in order on SIGTERM, and ends at once when whoever started it is gone. Each handler writes a line as
it begins and one as it ends, straight to the file, so that a killed worker has written all that it did.
"""

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    TypeSubscription,
    message_handler,
    try_get_known_serializers_for_type,
)
from autogen_ext.runtimes.nats import NatsAgentRuntime

STATELESS = ("free",)
"""The agent types that every process of a fleet counts as stateless."""


@dataclass
class Add:
    """The message number `number` of a sender, from 1; its handler takes `seconds`, less than 0: without giving way."""

    sender: str
    number: int
    seconds: float = 0.0


@dataclass
class Total:
    """How many messages the agent has handled in its life, which worker answers, and the key."""

    count: int
    worker: str
    key: str


@dataclass
class News:
    """An event, the number `number` of a topic."""

    number: int


@dataclass
class Visit:
    """A message that goes on to each of the agents in turn."""

    route: list[str]
    seconds: float = 0.0


MESSAGES = (Add, Total, News, Visit)


class Journal:
    """What the agents of one worker do, one JSON line each; times are of the system's monotonic clock."""

    def __init__(self, path: Path, worker: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.worker = worker

    def write(self, what: str, agent: AgentId, **more: Any) -> None:
        line = {"what": what, "worker": self.worker, "agent": str(agent), "at": time.monotonic(), **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Forgetful(RoutedAgent):
    """An agent without saved state."""

    journal: Journal

    def __init__(self) -> None:
        super().__init__("works in a fleet")
        self.count = 0
        self.last: dict[str, int] = {}
        self.wrong: list[str] = []

    @message_handler
    async def add(self, message: Add, ctx: MessageContext) -> Total:
        with self._written(message.sender, message.number, ctx):
            if message.seconds > 0:
                await asyncio.sleep(message.seconds)
            elif message.seconds < 0:
                time.sleep(-message.seconds)  # noqa: ASYNC251 - what bad handlers do
            self._note(message.sender, message.number)
        return Total(self.count, self.journal.worker, self.id.key)

    @message_handler
    async def hear(self, message: News, ctx: MessageContext) -> None:
        with self._written("news", message.number, ctx):
            self._note("news", message.number)

    @message_handler
    async def visit(self, message: Visit, ctx: MessageContext) -> Total:
        with self._written("visit", len(message.route), ctx):
            self.count += 1
            if message.route:
                to, *rest = message.route
                token = ctx.cancellation_token
                further = Visit(rest, message.seconds)
                await self.send_message(further, AgentId.from_str(to), cancellation_token=token)
            elif message.seconds:
                await asyncio.sleep(message.seconds)
        return Total(self.count, self.journal.worker, self.id.key)

    @contextmanager
    def _written(self, sender: str, number: int, ctx: MessageContext) -> Generator[None]:
        self.journal.write("begin", self.id, sender=sender, number=number, id=ctx.message_id)
        try:
            yield
        except asyncio.CancelledError:
            token = ctx.cancellation_token.is_cancelled()
            self.journal.write("cancelled", self.id, number=number, id=ctx.message_id, token=token)
            raise
        self.journal.write("end", self.id, sender=sender, number=number, id=ctx.message_id)

    def _note(self, sender: str, number: int) -> None:
        self.count += 1
        last = self.last.get(sender, 0)
        if number <= last:
            self.wrong.append(f"{sender}: {number} after {last}")
        self.last[sender] = number


class Keeper(Forgetful):
    """The same with saved state."""

    async def save_state(self) -> dict[str, Any]:
        return {"count": self.count, "last": self.last, "wrong": self.wrong}

    async def load_state(self, state: Any) -> None:
        self.count, self.last, self.wrong = state["count"], dict(state["last"]), list(state["wrong"])


CLASSES: dict[str, type[Forgetful]] = {
    "keep": Keeper,
    "hear": Keeper,
    "ask": Keeper,
    "plain": Forgetful,
    "free": Forgetful,
}


def new_runtime(url: str | list[str], namespace: str, **options: Any) -> NatsAgentRuntime:
    """Return a runtime that is not started yet."""
    runtime = NatsAgentRuntime(url, namespace=namespace, stateless_types=STATELESS, **options)
    for message in MESSAGES:
        runtime.add_message_serializer(try_get_known_serializers_for_type(message))
    return runtime


# The side of the tests


@dataclass
class Span:
    """The time in which an agent handled a message; `end` is infinite where it never ended, as its worker was killed."""

    worker: str
    agent: str
    sender: str
    number: int
    id: str
    begin: float
    end: float


class Fleet:
    """Worker processes of one system, all gone when the context is left.

    Args:
        url: The server, or servers.
        namespace: The system's.
        folder: Where journals are written.
        types: The agent types that workers host, with spaces between.
        options: Of each worker's runtime.
    """

    def __init__(
        self, url: str | list[str], namespace: str, folder: Path, types: str = "keep", **options: float
    ) -> None:
        self._url = url if isinstance(url, str) else ",".join(url)
        self._namespace, self._folder, self._types = namespace, folder, types
        self._options = [f"{name}={value}" for name, value in options.items()]
        self.workers: dict[str, asyncio.subprocess.Process] = {}
        self._made = 0
        self._logs: list[TextIO] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for process in self.workers.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        for log in self._logs:
            log.close()

    async def add(self, *, types: str | None = None, url: str | None = None, within: Iterable[str] = ()) -> str:
        """Start a worker and wait until it is ready; return its name. `within`: a command that starts it."""
        self._made += 1
        name = f"w{self._made}"
        log = (self._folder / f"{name}.log").open("w")
        self._logs.append(log)
        command = [sys.executable, __file__, url or self._url, self._namespace, name, str(self._folder)]
        process = await asyncio.create_subprocess_exec(
            *within,
            *command,
            types or self._types,
            *self._options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        self.workers[name] = process
        assert process.stdout is not None
        said = await asyncio.wait_for(process.stdout.readline(), 30)
        assert said == b"ready\n", self.log(name)
        return name

    def kill(self, name: str) -> None:
        """End a worker at once, as kill -9 does."""
        self.workers[name].kill()

    def send(self, name: str, what: signal.Signals) -> None:
        self.workers[name].send_signal(what)

    async def stop(self, name: str) -> float:
        """End a worker in order; return how many seconds that took."""
        begin = time.monotonic()
        self.workers[name].terminate()
        code = await asyncio.wait_for(self.workers[name].wait(), 45)
        assert code == 0, self.log(name)
        return time.monotonic() - begin

    def alive(self) -> list[str]:
        return [name for name, process in self.workers.items() if process.returncode is None]

    def log(self, name: str) -> str:
        """Return what a worker said to stderr."""
        return (self._folder / f"{name}.log").read_text()

    def complaints(self) -> list[str]:
        """Return what no worker may say, whatever happens to it."""
        bad = ("never retrieved", "was destroyed", "never awaited", "unhandled", "nats/aio", "failed; it goes on")
        return [
            f"{name}: {line}"
            for name in self.workers
            for line in self.log(name).splitlines()
            if any(b in line for b in bad)
        ]

    def rss(self, name: str) -> int:
        """Return the resident memory of a worker, in bytes."""
        return rss(self.workers[name].pid)

    def lines(self) -> list[dict[str, Any]]:
        """Return all that the agents did, in order of time."""
        found: list[dict[str, Any]] = []
        for path in self._folder.glob("*.journal"):
            found += [json.loads(line) for line in path.read_text().splitlines()]
        return sorted(found, key=lambda line: line["at"])

    def spans(self) -> list[Span]:
        """Return the time of each handling of a message."""
        spans: list[Span] = []
        open_spans: dict[tuple[str, str, str], Span] = {}
        for line in self.lines():
            place = line["worker"], line["agent"], line.get("id", "")
            if line["what"] == "begin":
                span = Span(
                    line["worker"], line["agent"], line["sender"], line["number"], line["id"], line["at"], float("inf")
                )
                open_spans[place] = span
                spans.append(span)
            else:
                open_spans.pop(place).end = line["at"]
        return spans


def rss(pid: int) -> int:
    """Return the resident memory of a process, 0 for this one, in bytes."""
    fields = Path(f"/proc/{pid or 'self'}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def tell(*measured: object) -> None:
    """Show what was measured; pytest does with `-s`."""
    print("measured:", *measured)  # noqa: T201 - that is what it is for


def overlaps(spans: Iterable[Span], ended: dict[str, float] | None = None) -> list[str]:
    """Return where an agent was active on two workers at a time; `ended`: when workers were killed."""
    by_agent: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_agent[span.agent].append(span)
    found: list[str] = []
    for agent, own in by_agent.items():
        last: dict[str, float] = {}
        for span in sorted(own, key=lambda one: one.begin):
            for worker, end in last.items():
                if worker != span.worker and min(end, (ended or {}).get(worker, end)) > span.begin:
                    found.append(f"{agent} on {span.worker} while on {worker}")
            last[span.worker] = max(last.get(span.worker, 0.0), span.end)
    return found


# The workers' program


async def _work(url: str, namespace: str, name: str, folder: str, types: str, *options: str) -> None:
    given = {key: float(value) for key, _, value in (option.partition("=") for option in options)}
    whole = {key: int(given.pop(key)) for key in ("partitions", "mailbox_size") if key in given}
    runtime = new_runtime(url.split(","), namespace, **whole, **given)
    Forgetful.journal = Journal(Path(folder, f"{name}.journal"), name)
    await runtime.start()
    for type in types.split():
        await CLASSES[type].register(runtime, type, CLASSES[type])
        if type in {"hear", "free"}:
            await runtime.add_subscription(TypeSubscription(f"news-{type}", type))
    print("ready", flush=True)  # noqa: T201 - the test reads it
    await runtime.stop_when_signal()
    await runtime.close()
    left = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    threads = [one.name for one in threading.enumerate() if one.name.startswith("lease")]
    if left or threads:
        print("unhandled at the end:", left, threads, file=sys.stderr)  # noqa: T201 - the test looks for it


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)
    level = logging.getLevelNamesMapping()[os.environ.get("CHAOS_LOG", "WARNING")]
    logging.basicConfig(format="%(asctime)s.%(msecs)03d %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("autogen_core.runtimes.nats").setLevel(level)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_work(*sys.argv[1:]))
