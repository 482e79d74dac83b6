"""Messages that come straight from a sender, without a mailbox: for stateless agents, and for instances that live here.

The sender keeps each until it is answered, and sends it again if it hears nothing; what takes long is therefore noted to it.
Stands on the intake; knows no stream.
"""

import asyncio
from collections.abc import Callable

from nats.aio.msg import Msg

from autogen_core import AgentId
from autogen_core.exceptions import MailboxFullError, UndeliverableException
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._control import answer_control
from ._intake import Begun, Intake, Parts, stop
from ._link import Link, logger
from ._wire import CANCEL, EVENT, REQUEST, Answer, Message, fitting

_NOTE_S = 0.5
"""After how long the sender is told that its message is being handled, in seconds."""


class Direct:
    """What comes straight to this worker.

    Args:
        parts: The runtime's parts.
        intake: Where handlers are begun.
        link: Where answers go.
        worker: This worker's id.
        max_handling: How many messages may be handled at a time.
    """

    def __init__(self, parts: Parts, intake: Intake, link: Link, worker: str, max_handling: int) -> None:
        self._parts = parts
        self._intake = intake
        self._link = link
        self._worker = worker
        self._max_handling = max_handling
        self._begun: set[Begun] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = False
        self.stopping: Callable[[], bool] = lambda: False

    async def take(self, raw: Msg) -> None:
        """Take a message."""
        try:
            message = Message.decode(raw.data)
        except UnreadableError as error:
            logger.error("a message to this worker cannot be read: %s", error)  # noqa: TRY400 - its text says all
            return
        if message.kind == CANCEL:
            self._intake.cancel(message)
            return
        try:
            self._begin(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender waits
            self._answer(message.answer_to, Answer.failed(message.id, error).encode())

    def _begin(self, message: Message) -> None:
        if message.topic is not None:
            recipients = [AgentId(hearer, message.topic.source) for hearer in message.hearers]
        else:
            assert message.recipient is not None
            recipients = [message.recipient]
        for agent in recipients:
            if not self._parts.directory.knows(agent):
                raise UndeliverableException.unknown_recipient(agent, self._parts.directory.types)
        if self.stopping():
            raise UndeliverableException.runtime_stopped(recipients[0])
        if len(self._begun) >= self._max_handling:
            raise MailboxFullError(
                f"The worker of {recipients[0]} handles as many messages as it may.", recipient=recipients[0]
            )
        if message.kind not in {REQUEST, EVENT}:
            task = asyncio.create_task(self._control(message, recipients[0]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        for agent in recipients:
            if agent != message.sender or message.topic is None:
                self.handle(message, agent)

    def handle(self, message: Message, agent: AgentId) -> None:
        """Let an agent here handle a message, unless it has done so before.

        Raises:
            UnreadableError: It cannot be read.
        """
        key = (message.id, agent)
        running = self._intake.begun.get(key)
        if running is not None:
            running.wanted_by(message.answer_to)
            self._note(running)
            return
        known = self._intake.answer_of(key)
        if known is not None:
            self._answer(message.answer_to, known)
            return
        if self._intake.is_cancelled(message):
            return
        begun = self._intake.begin(message, agent)
        if begun.reply.done() and not begun.handling.stored:
            self._finish(key, begun)
            return
        self._begun.add(begun)
        begun.reply.add_done_callback(lambda _: self._ended(key, begun))

    def _ended(self, key: tuple[str, AgentId], begun: Begun) -> None:
        self._begun.discard(begun)
        if begun.handling.stored:
            task = asyncio.create_task(self._finish_later(key, begun))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._finish(key, begun)

    async def _finish_later(self, key: tuple[str, AgentId], begun: Begun) -> None:
        try:
            await begun.handling.settle()
        except Exception as error:  # noqa: BLE001 - what it has sent is lost, so it has failed
            self._tell(key, begun, Answer.failed(begun.message.id, error))
        else:
            self._finish(key, begun)

    def _finish(self, key: tuple[str, AgentId], begun: Begun) -> None:
        self._tell(key, begun, self._intake.write(begun))

    def _tell(self, key: tuple[str, AgentId], begun: Begun, answer: Answer) -> None:
        if self._silent and begun.reply.cancelled():
            return
        data = fitting(answer, self._link.max_bytes)
        if not begun.reply.cancelled():  # whoever sent it may begin anew, and send it again
            self._intake.remember(key, data)
        for answer_to in begun.answers_to:
            self._answer(answer_to, data)

    def _answer(self, subject: str, data: bytes) -> None:
        if subject:
            self._link.post(subject, data)

    async def _control(self, message: Message, agent: AgentId) -> None:
        try:
            answer = await answer_control(await self._parts.directory.activate(agent), message)
        except Exception as error:  # noqa: BLE001 - factories are anybody's code, and the sender waits
            answer = Answer.failed(message.id, error)
        self._answer(message.answer_to, fitting(answer, self._link.max_bytes))

    # What takes long

    def note_long(self) -> None:
        """Tell the senders of what takes long that it is being handled; call it every now and then."""
        latest = asyncio.get_running_loop().time() - _NOTE_S
        for begun in self._begun:
            if not begun.told and begun.begun_at < latest:
                self._note(begun)

    def _note(self, begun: Begun) -> None:
        begun.told = True
        self._answer(begun.answer_to, Answer(begun.message.id, worker=self._worker).encode())

    async def stop(self, timeout_s: float) -> None:
        """Let what is being handled be finished; what takes longer is cancelled.

        Nothing is said about that: who waits for it learns that this worker is gone, and may ask another.
        """
        handlers = [begun.reply for begun in self._begun]
        if handlers:
            await asyncio.wait(handlers, timeout=timeout_s)
        late = list(self._begun)
        self._silent = True
        for begun in late:
            stop(begun)
        if late:
            await asyncio.wait([begun.reply for begun in late], timeout=2)
        self._silent = False
        tasks = list(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=2)
            for task in late:
                task.cancel()
