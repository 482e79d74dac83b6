"""Numbered messages at a steady rate, and what became of them. Stands on the fleet."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from autogen_core import AgentId
from autogen_ext.runtimes.nats import NatsAgentRuntime


@dataclass
class Answered:
    """An answer: when the message was sent and the answer came, on the monotonic clock, and who gave it."""

    sent: float
    came: float
    worker: str


@dataclass
class Load:
    """Sends numbered messages to agents, in the order of their numbers, without waiting for answers.

    Attributes:
        runtime: Where they are sent.
        agents: To whom; each in turn.
        make: Makes a message from its sender's name and its number.
        sender: The name.
        sent: How many were sent to each agent.
        answers: The answers of each agent.
        failures: What was raised instead of an answer.
    """

    runtime: NatsAgentRuntime
    agents: Sequence[AgentId]
    make: Callable[[str, int], Any]
    sender: str = "load"
    sent: Counter[AgentId] = field(default_factory=Counter[AgentId])
    answers: dict[AgentId, list[Answered]] = field(default_factory=lambda: defaultdict(list))
    failures: list[BaseException] = field(default_factory=list[BaseException])
    _calls: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _turn: int = 0

    @property
    def open(self) -> int:
        """How many callers wait."""
        return len(self._calls)

    def send(self) -> None:
        """Send one message to the next agent."""
        agent = self.agents[self._turn % len(self.agents)]
        self._turn += 1
        self.sent[agent] += 1
        call = asyncio.create_task(self._call(agent, self.sent[agent]))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _call(self, agent: AgentId, number: int) -> None:
        sent = time.monotonic()
        try:
            total = await self.runtime.send_message(self.make(self.sender, number), agent)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.failures.append(error)
        else:
            self.answers[agent].append(Answered(sent, time.monotonic(), total.worker))

    async def run(self, seconds: float, rate: float) -> None:
        """Send so many messages a second for so long."""
        begin = time.monotonic()
        done = 0
        while (passed := time.monotonic() - begin) < seconds:
            while done < passed * rate:
                self.send()
                done += 1
            await asyncio.sleep(0.01)

    async def finish(self, seconds: float = 30) -> None:
        """Wait until every caller has an answer."""
        calls = set(self._calls)
        if calls:
            _, late = await asyncio.wait(calls, timeout=seconds)
            assert not late, f"{len(late)} callers still wait"

    def of_worker(self, worker: str) -> list[AgentId]:
        """Return the agents whose last answer a worker gave."""
        return [agent for agent, answers in self.answers.items() if answers[-1].worker == worker]

    def first_after(self, at: float, agents: Sequence[AgentId], old: str) -> list[float]:
        """Return for each agent how many seconds after a moment its first answer from another worker came."""
        found: list[float] = []
        for agent in agents:
            came = [one.came - at for one in self.answers[agent] if one.came > at and one.worker != old]
            if came:
                found.append(min(came))
        return sorted(found)
