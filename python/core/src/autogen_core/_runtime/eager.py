"""Start a task at once: its first step runs in the caller, and only a task that suspends there costs a loop iteration.

Most handlers never suspend, and then a message costs little more than a call. The task is a real one: within it
`asyncio.current_task()`, time limits and task groups mean the task itself, from its first line on.

Python 3.12 has this as `asyncio.Task(eager_start=True)`. On 3.11 the task's first step is caught as it is given to the loop.
Stands on asyncio; knows no message.
"""

import asyncio
import sys
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

if sys.version_info >= (3, 12):

    def start_eagerly(coroutine: Coroutine[Any, Any, T], loop: AbstractEventLoop) -> Task[T]:
        """Run a coroutine up to where it first suspends, and return its task, which may be done already."""
        return Task(coroutine, loop=loop, eager_start=True)

else:

    class _Catch:
        """Stands in for `loop.call_soon` while a task is made, and keeps the task's first step."""

        step: Callable[[], object]
        context: Context

        def __call__(self, step: Callable[[], object], *, context: Context) -> None:
            self.step = step
            self.context = context

    _catch = _Catch()

    def start_eagerly(coroutine: Coroutine[Any, Any, T], loop: AbstractEventLoop) -> Task[T]:
        """Run a coroutine up to where it first suspends, and return its task, which may be done already."""
        loop.call_soon = _catch  # type: ignore[method-assign, assignment]  # undone below, before anything else runs
        try:
            task = Task(coroutine, loop=loop)
        finally:
            del loop.call_soon
        step, context = _catch.step, _catch.context
        caller = asyncio.current_task(loop)
        if caller is None:
            context.run(step)
        else:
            asyncio._leave_task(loop, caller)  # type: ignore[attr-defined]
            try:
                context.run(step)
            finally:
                asyncio._enter_task(loop, caller)  # type: ignore[attr-defined]
        return task
