"""What holds as workers join and leave: each agent is on one worker at a time, each worker has its share, nothing is lost."""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

from autogen_core import AgentId
from autogen_ext.runtimes.nats import NatsServer

from .chaos_fleet import Add, Fleet, Total, new_runtime, overlaps, tell
from .chaos_load import Load
from .test_failures import counted
from .waiting import until

KEYS = 300


async def test_three_workers_share_agents_and_others_join_and_leave(
    nats_server: NatsServer, namespace: str, tmp_path: Path
) -> None:
    """Under load: load within 30 % of a third, no agent on two workers at a time, no message lost or out of order."""
    runtime = new_runtime(nats_server.url, namespace)
    agents = [AgentId(type, f"k{number}") for number in range(KEYS) for type in ("keep", "plain")]
    async with Fleet(nats_server.url, namespace, tmp_path, "keep plain", partitions=48) as fleet:
        for _ in range(3):
            await fleet.add()
        await runtime.start()
        try:
            load = Load(runtime, agents, partial(Add, seconds=0.05))
            await load.run(3, 400)
            await load.finish()
            for type in ("keep", "plain"):
                shares = Counter(answers[-1].worker for agent, answers in load.answers.items() if agent.type == type)
                assert set(shares) == set(fleet.alive())
                assert all(0.7 * KEYS / 3 <= share <= 1.3 * KEYS / 3 for share in shares.values()), shares
            joining = asyncio.create_task(fleet.add())
            await load.run(5, 400)
            joined = await joining
            took = asyncio.create_task(fleet.stop(fleet.alive()[0]))
            await load.run(5, 400)
            seconds = await took
            await load.finish()
            assert not load.failures
            assert len(load.of_worker(joined)) > 0
            load.sent = Counter({agent: sent for agent, sent in load.sent.items() if agent.type == "keep"})
            assert await counted(runtime, load) == []
        finally:
            await runtime.close()
        spans = fleet.spans()
        assert overlaps(spans) == []
        assert max(Counter(span.id for span in spans).values()) == 1
        assert fleet.complaints() == []
    tell(
        "shares",
        shares,
        "stop",
        seconds,
        "slowest",
        max(one.came - one.sent for many in load.answers.values() for one in many),
    )


async def test_a_handler_is_finished_before_its_agent_moves(
    nats_server: NatsServer, namespace: str, tmp_path: Path
) -> None:
    """Also one that takes longer than a partition is kept without a word; what waits behind it is handled elsewhere."""
    runtime = new_runtime(nats_server.url, namespace)
    agents = [AgentId("plain", f"k{number}") for number in range(30)]
    async with Fleet(nats_server.url, namespace, tmp_path, "plain keep") as fleet:
        first = await fleet.add()
        await runtime.start()
        try:
            keepers = [AgentId("keep", agent.key) for agent in agents]
            calls = [
                asyncio.create_task(runtime.send_message(Add("me", number, 6.0 if number == 1 else 0.01), agent))
                for agent in agents + keepers
                for number in (1, 2, 3)
            ]
            await until(lambda: len(fleet.lines()) >= 60)
            second = await fleet.add()
            await fleet.stop(first)
            async with asyncio.timeout(20):
                answers: list[Total] = await asyncio.gather(*calls)
            moved = [answer for answer in answers if answer.worker == second]
            assert moved
            assert await runtime.agent_save_state(keepers[0]) == {"count": 3, "last": {"me": 3}, "wrong": []}
        finally:
            await runtime.close()
        keep = [span for span in fleet.spans() if span.agent.startswith("keep")]
        assert overlaps(keep) == []
        assert overlaps(fleet.spans()) == []
        assert fleet.complaints() == []
