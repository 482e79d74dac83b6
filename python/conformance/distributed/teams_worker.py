"""A worker process for the tests: serves the agent `ann`, which in the first turn of some processes never answers.

`python -m distributed.teams_worker ADDRESS stuck|well` in `python/conformance`. It ends when its input closes.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.remote import serve_agent
from autogen_core import CancellationToken
from autogen_ext.runtimes.nats import NatsAgentRuntime

from .teams_cast import Actor


def say(text: str) -> None:
    """Tell the test."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Ann(Actor):
    """Says when it is asked; may be stuck in its second turn."""

    def __init__(self, *, stuck: bool) -> None:
        super().__init__("ann")
        self._stuck = stuck

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Answer, or do not."""
        say(f"asked for turn {self._turns}")
        if self._stuck and self._turns == 1:
            await asyncio.sleep(3600)
        return await super().on_messages(messages, cancellation_token)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


async def main(address: str, mode: str) -> None:
    """Serve."""
    runtime: Any = NatsAgentRuntime(address, drain_timeout=1.0)
    await runtime.start()
    await serve_agent(runtime, "ann", lambda: Ann(stuck=mode == "stuck"))
    say("ready")
    await runtime.stop_when_signal()


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(main(*sys.argv[1:]))
