"""Whose work is being done: known to all that a block calls, also in tasks, threads and messages, and to nobody else."""

import asyncio

import pytest

from autogen_core import (
    AgentId,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TypeSubscription,
    message_handler,
)
from autogen_core.lowlevel import RunScope


def here() -> tuple[str, str] | None:
    scope = RunScope.current()
    return None if scope is None else (scope.run, scope.agent)


def test_outside_of_all_runs_there_is_no_scope() -> None:
    with RunScope("a"):
        assert RunScope.current() is not None
    assert RunScope.current() is None


def test_the_outermost_run_and_the_innermost_agent_count() -> None:
    with RunScope("outer") as outer:
        with RunScope("inner") as inner:
            assert here() == (outer.run, "inner")
            assert inner.run == outer.run
        assert here() == (outer.run, "outer")


def test_runs_one_after_another_differ() -> None:
    runs: set[str] = set()
    for _ in range(3):
        with RunScope("a") as scope:
            runs.add(scope.run)
            assert scope.run in runs
    assert len(runs) == 3


def test_a_scope_may_be_entered_again_but_not_twice_at_a_time() -> None:
    scope = RunScope("a")
    with scope:
        run = here()
        with pytest.raises(RuntimeError, match="in use already"), scope:
            pass
        assert here() == run
    with scope:
        assert here() == run
    assert here() is None


async def test_tasks_and_threads_that_begin_in_a_scope_are_in_it() -> None:
    async def later() -> tuple[str, str] | None:
        await asyncio.sleep(0)
        return here()

    with RunScope("a") as scope:
        task = asyncio.create_task(later())
        thread = asyncio.create_task(asyncio.to_thread(here))
    assert await task == await thread == (scope.run, "a")


class Noting(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("notes whose work it does")
        self.seen: dict[str, tuple[str, str] | None] = {}

    @message_handler
    async def note(self, message: str, ctx: MessageContext) -> None:
        await asyncio.sleep(0)
        self.seen[message] = here()


async def test_a_message_is_handled_in_the_scope_it_was_sent_in() -> None:
    """Sent or published, at once or through the mailbox, by concurrent senders."""
    runtime = SingleThreadedAgentRuntime()
    noting = Noting()
    await noting.register_instance(runtime, AgentId("noting", "default"))
    await runtime.add_subscription(TypeSubscription("default", "noting"))
    runs: dict[str, tuple[str, str]] = {}

    async def work(name: str, *, publish: bool) -> None:
        with RunScope(name) as scope:
            runs[name] = scope.run, name
            if publish:
                await runtime.publish_message(name, DefaultTopicId())
            else:
                await runtime.send_message(name, AgentId("noting", "default"))

    early = [asyncio.create_task(work("e1", publish=False)), asyncio.create_task(work("e2", publish=True))]
    await asyncio.sleep(0)
    runtime.start()
    await asyncio.gather(*early, *(work(f"n{number}", publish=number % 2 == 0) for number in range(4)))
    await runtime.send_message("nobody", AgentId("noting", "default"))
    await runtime.stop_when_idle()
    assert noting.seen == {**runs, "nobody": None}
    assert len({run for run, _ in runs.values()}) == 6
