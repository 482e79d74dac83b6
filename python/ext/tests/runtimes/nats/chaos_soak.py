"""The soak: workers start, join, stop, hang and die at random, and the server too, under load; then every promise is checked.

    python chaos_soak.py [--minutes 15] [--seed N]

It prints its seed, from which the deeds and the pauses between them follow. It ends with 1 and says what was broken, or with 0.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path

from chaos_fleet import Add, Fleet, News, Visit, new_runtime, overlaps, rss
from chaos_load import Load

from autogen_core import AgentId, TopicId
from autogen_core.exceptions import AutoGenError
from autogen_ext.runtimes.nats import NatsAgentRuntime, NatsServer

TYPES = "keep plain free hear ask"
SOURCES = [f"s{number}" for number in range(20)]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)  # noqa: T201 - the program's output


class Soak:
    """One run."""

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self.chance = chance
        self.fate = random.Random(chance.random())  # of its own: how much is sent meanwhile has no influence on it
        self.folder = folder
        self.published: Counter[str] = Counter()
        self.refused: list[str] = []
        self.calm = False
        self.hung: list[tuple[str, float, float]] = []
        self.killed: dict[str, float] = {}
        self.done: Counter[str] = Counter()

    async def run(self, seconds: float) -> list[str]:
        """Return what was broken."""
        async with NatsServer(store_dir=self.folder / "store") as self.server:
            namespace = f"soak-{uuid.uuid4().hex[:8]}"
            async with Fleet(self.server.url, namespace, self.folder, TYPES) as self.fleet:
                for _ in range(3):
                    await self.fleet.add()
                runtime = new_runtime(self.server.url, namespace)
                await runtime.start()
                try:
                    return await self._run(runtime, seconds)
                finally:
                    await runtime.close()

    async def _run(self, runtime: NatsAgentRuntime, seconds: float) -> list[str]:
        keys = [f"a{number}" for number in range(100)]
        loads = [
            Load(runtime, [AgentId("keep", key) for key in keys], self._add, "steady"),
            Load(runtime, [AgentId("plain", key) for key in keys], self._add, "plain"),
            Load(runtime, [AgentId("free", key) for key in keys], self._add, "free"),
            Load(runtime, [AgentId("ask", key) for key in keys[:20]], self._visit, "visit"),
        ]
        first = {"here": rss(0), "server": rss(self.server.pid)}
        end = time.monotonic() + seconds
        trouble = asyncio.create_task(self._trouble(end - 20))
        work = [
            asyncio.create_task(load.run(seconds, rate)) for load, rate in zip(loads, (120, 40, 40, 10), strict=True)
        ]
        work.append(asyncio.create_task(self._publish(runtime, end)))
        await asyncio.gather(trouble, *work)
        say(
            f"{dict(self.done)}; all was sent: {[sum(load.sent.values()) for load in loads]}, {self.published.total()} events"
        )
        broken: list[str] = []
        for load in loads:
            try:
                await load.finish(60)
            except AssertionError as error:
                broken.append(f"{load.sender}: {error}")
            broken += [f"{load.sender}: {error!r}" for error in load.failures]
        broken += await self._check_states(runtime, loads[0])
        broken += await self._check_events(runtime)
        broken += self._check_spans()
        broken += self.fleet.complaints()
        late = sorted(one.came - one.sent for load in loads for many in load.answers.values() for one in many)
        say(f"answers: median {late[len(late) // 2]:.3f} s, slowest {late[-1]:.1f} s")
        say(f"memory, MB: at first {_mb(first)}, now {_mb({'here': rss(0), 'server': rss(self.server.pid)})}")
        return broken

    def _add(self, sender: str, number: int) -> Add:
        return Add(sender, number, self.chance.choice([0.0, 0.0, 0.01, 0.1]))

    def _visit(self, sender: str, number: int) -> Visit:
        places = [f"{self.chance.choice(['plain', 'free'])}/v{self.chance.randrange(20)}" for _ in range(2)]
        return Visit(places, 0.05)

    async def _publish(self, runtime: NatsAgentRuntime, end: float) -> None:
        while time.monotonic() < end:
            source = self.chance.choice(SOURCES)
            self.published[source] += 1
            try:
                await runtime.publish_message(News(self.published[source]), TopicId("news-hear", source))
            except AutoGenError as error:
                self.refused.append(repr(error))
            await asyncio.sleep(0.02)
        await runtime.flush()

    # Trouble

    async def _trouble(self, end: float) -> None:
        deeds = [self._kill, self._kill, self._stop, self._join, self._join, self._hang, self._restart, self._crash]
        while time.monotonic() < end:
            await asyncio.sleep(self.fate.uniform(0.5, 6))
            deed = self.fate.choice(deeds)
            self.done[deed.__name__.strip("_")] += 1
            await deed()

    async def _join(self) -> None:
        if len(self.fleet.alive()) < 6:
            say(f"{await self.fleet.add()} joins")

    async def _kill(self) -> None:
        name = self.fate.choice(self.fleet.alive())
        say(f"{name} is killed")
        self.fleet.kill(name)
        self.killed[name] = time.monotonic()
        await self.fleet.workers[name].wait()
        await self._keep_two()

    async def _stop(self) -> None:
        name = self.fate.choice(self.fleet.alive())
        say(f"{name} is stopped")
        say(f"{name} took {await self.fleet.stop(name):.2f} s")
        await self._keep_two()

    async def _hang(self) -> None:
        name, seconds = self.fate.choice(self.fleet.alive()), self.fate.uniform(0.5, 10)
        say(f"{name} hangs for {seconds:.1f} s")
        since = time.monotonic()
        self.fleet.send(name, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.fleet.send(name, signal.SIGCONT)
        self.hung.append((name, since, time.monotonic()))

    async def _restart(self) -> None:
        say("the server is stopped")
        await self._without_server(self.server.stop())

    async def _crash(self) -> None:
        say("the server is killed")
        await self._without_server(self.server.kill())

    async def _without_server(self, ending: Awaitable[None]) -> None:
        await ending
        await asyncio.sleep(self.fate.uniform(0, 5))
        await self.server.start()
        say("the server is back")

    async def _keep_two(self) -> None:
        while len(self.fleet.alive()) < 2:
            say(f"{await self.fleet.add()} joins")

    # Checks

    async def _check_states(self, runtime: NatsAgentRuntime, load: Load) -> list[str]:
        broken: list[str] = []
        for agent, sent in load.sent.items():
            state = await runtime.agent_save_state(agent)
            if state["count"] != sent or state["wrong"] or state["last"] != {load.sender: sent}:
                broken.append(f"{agent}: {sent} sent, {state}")
        return broken

    def _check_spans(self) -> list[str]:
        """Return where an agent with a mailbox was active on two workers at a time."""
        spans = [span for span in self.fleet.spans() if not span.agent.startswith("free")]
        for span in spans:  # a hung handler does nothing; where it ends later, its effect is void
            for worker, since, until in self.hung:
                if span.worker == worker and span.begin <= since and until - since > 1.5:
                    span.end = min(span.end, since)
        return overlaps(spans, self.killed)

    async def _check_events(self, runtime: NatsAgentRuntime) -> list[str]:
        broken = [f"an event was refused: {error}" for error in self.refused]
        for source, sent in self.published.items():
            state: dict[str, object] = {}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(30):
                    while state.get("last") != {"news": sent}:
                        state = dict(await runtime.agent_save_state(AgentId("hear", source)))
                        await asyncio.sleep(0.1)
            if state.get("count") != sent or state.get("wrong"):
                broken.append(f"hear/{source}: {sent} published, {state}")
        return broken


def _mb(sizes: dict[str, int]) -> dict[str, int]:
    return {name: size // 1024 // 1024 for name, size in sizes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    say(f"seed {given.seed}, {given.minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="autogen-soak-") as folder:
        broken = asyncio.run(Soak(random.Random(given.seed), Path(folder)).run(given.minutes * 60))
    for line in broken[:50]:
        say(f"BROKEN {line}")
    say(f"seed {given.seed}: {len(broken)} promises broken" if broken else f"seed {given.seed}: all promises held")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
