"""Questions to the user, asked only once the console has shown everything before them.

Stands on `UserProxyAgent`, which it imports when somebody asks, so that printing needs no agents; knows no team.
"""

import asyncio
from collections.abc import Awaitable, Callable

from autogen_agentchat.base._input import InputFunc, ask_human
from autogen_core import CancellationToken


class UserInputManager:
    """Makes an input function wait until the console has come to the question.

    An agent asks the user before the console has printed what was said last, since both go their own way. Give
    `get_wrapped_callback()` to the `UserProxyAgent` as its input function and this object to `Console`, and the question
    comes in its place.

    Args:
        callback: Asks the user: takes the prompt and returns the answer, or is async and takes the prompt and a
            cancellation token. A plain function runs in a thread of its own, so it may block.

    Attributes:
        callback: As given.
        input_events: The requests that were asked or announced, but not yet both, by their ids.
    """

    def __init__(self, callback: InputFunc) -> None:
        self.callback = callback
        self.input_events: dict[str, asyncio.Event] = {}

    def get_wrapped_callback(self) -> Callable[[str, CancellationToken | None], Awaitable[str]]:
        """Return the input function for a `UserProxyAgent`.

        It waits for the console to announce the request, and then calls the callback. It raises
        `asyncio.CancelledError` when its token is cancelled meanwhile, and `RuntimeError` when it is called by anything
        but a `UserProxyAgent`.
        """

        async def ask(prompt: str, cancellation_token: CancellationToken | None) -> str:
            work = asyncio.ensure_future(self._ask(prompt, cancellation_token))
            if cancellation_token is not None:
                cancellation_token.link_future(work)
            return await work

        return ask

    def notify_event_received(self, request_id: str) -> None:
        """Say that the `UserInputRequestedEvent` of this request has been shown. `Console` does."""
        self._event(request_id).set()

    async def _ask(self, prompt: str, cancellation_token: CancellationToken | None) -> str:
        from autogen_agentchat.agents._user_proxy_agent import UserProxyAgent

        request_id = UserProxyAgent.InputRequestContext.request_id()
        try:
            await self._event(request_id).wait()
        finally:
            self.input_events.pop(request_id, None)
        return await ask_human(self.callback, prompt, cancellation_token)

    def _event(self, request_id: str) -> asyncio.Event:
        """Return the event of a request, whichever side comes to it first."""
        return self.input_events.setdefault(request_id, asyncio.Event())
