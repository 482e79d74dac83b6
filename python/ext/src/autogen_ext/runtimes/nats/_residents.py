"""The agents with mailboxes that live on this worker: each is made, or restored, by its first message, and hears all in order.

An agent that saves state handles one message at a time, and its state is written before its answer is sent, so that a message
has its effect once, however often it is delivered. A message that was sent on behalf of the one being handled comes in between,
since otherwise the two would wait for each other. Other agents handle messages as they come, many at a time. Stands on the
intake and the states; knows no consumer.
"""

import asyncio
import json
from collections import deque

from autogen_core import Agent, AgentId, BaseAgent, ClosureAgent
from autogen_core.exceptions import AutoGenError, UndeliverableException

from ._control import answer_control
from ._dead_letters import DeadLetters
from ._intake import Begun, Intake, Parts, stop
from ._lease import Lease
from ._link import Link, ServerAwayError, ServerRefusedError, logger
from ._puller import Puller, Work
from ._states import Record, States, to_json
from ._storage import ConflictError
from ._wire import EVENT, LOAD, REQUEST, Answer, Message, fitting

_AGAIN_S = 0.1
_PATIENCE_S = 10.0


class Residents:
    """The agents here that have mailboxes.

    Args:
        parts: The runtime's parts.
        intake: Where handlers are begun.
        link, states, dead: Where answers, states, and messages that cannot be handled go.
        lease: Until when this worker may count as theirs.
    """

    def __init__(
        self, parts: Parts, intake: Intake, link: Link, states: States, dead: DeadLetters, lease: Lease
    ) -> None:
        self.parts = parts
        self.intake = intake
        self.link = link
        self.states = states
        self.dead = dead
        self.lease = lease
        self._residents: dict[AgentId, Resident] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopping = False

    def may_handle(self, work: Work) -> bool:
        """Tell whether a message is this worker's business; if it is somebody else's by now, it is given up."""
        if self.lease.valid or work.source.partition is None:
            return True
        work.lost = True
        work.source.works.pop(work.sequence, None)
        return False

    def take(self, work: Work) -> None:
        """Take a message from a mailbox."""
        if not self.may_handle(work):
            return
        agents = recipients(work.message)
        work.left = len(agents)
        if not agents:
            work.source.done(work)
        for agent in agents:
            resident = self._residents.get(agent)
            if resident is None:
                resident = self._residents[agent] = Resident(self, agent, work.source)
            resident.source = work.source
            resident.put(work)

    def forget(self, resident: "Resident") -> None:
        """Forget an agent; its next message makes it again."""
        if self._residents.get(resident.id) is resident:
            del self._residents[resident.id]

    def own(self, task: asyncio.Task[None]) -> None:
        """Keep a task until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def of(self, source: Puller) -> list["Resident"]:
        """Return the agents of a partition."""
        return [one for one in self._residents.values() if one.source is source]

    async def drain(self, source: Puller, timeout_s: float) -> None:
        """Let what was begun of a partition be finished; what takes longer is cancelled, and delivered again elsewhere."""
        for resident in self.of(source):
            source.drop(resident.drop_waiting())
        await source.empty(timeout_s)
        await self.abandon(source)

    async def abandon(self, source: Puller) -> None:
        """Give up a partition: its handlers are cancelled, its agents forgotten, and nobody is told anything about them.

        Where the runtime as a whole stops, their objects stay: who closes the runtime closes them.
        """
        source.lose()
        for resident in self.of(source):
            await resident.leave(forget=not self.stopping)

    async def evict_idle(self, seconds: float) -> None:
        """Forget agents with saved state that had nothing to do for so long."""
        latest = asyncio.get_running_loop().time() - seconds
        for resident in list(self._residents.values()):
            if resident.idle_since is not None and resident.idle_since < latest and resident.saves:
                await resident.leave()

    async def stop(self) -> None:
        """End what is under way."""
        for resident in list(self._residents.values()):
            await resident.leave(forget=False)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)


class Resident:
    """One agent."""

    def __init__(self, house: Residents, id: AgentId, source: Puller) -> None:
        self._house = house
        self.id = id
        self.source = source
        self.saves = False
        self.idle_since: float | None = None
        self._agent: Agent | None = None
        self._record = Record()
        self._waiting: deque[Work] = deque()
        self._task: asyncio.Task[None] | None = None
        self._current: str | None = None
        self._begun: set[Begun] = set()
        self._within: list[Work] = []
        self._left = False

    def put(self, work: Work) -> None:
        """Take a message."""
        self.idle_since = None
        if self._agent is not None and not self.saves and not self._waiting and work.message.kind in {REQUEST, EVENT}:
            self._start(work)
        elif self._current is not None and self._current in work.message.chain:
            self._house.own(asyncio.create_task(self._handle_within(work)))
        else:
            self._waiting.append(work)
            if self._task is None:
                self._task = asyncio.create_task(self._work(), name=f"agent {self.id}")

    def drop_waiting(self) -> list[Work]:
        """Drop the messages that were not begun yet and no handler waits for, back to the last of another kind."""
        dropped: list[Work] = []
        while self._waiting and not self._waiting[-1].message.chain and len(recipients(self._waiting[-1].message)) == 1:
            dropped.append(self._waiting.pop())
        return dropped

    async def leave(self, *, forget: bool = True) -> None:
        """End what is under way, and forget the agent's object, unless the runtime as a whole stops."""
        self._left = True
        self._house.forget(self)
        for begun in list(self._begun):
            stop(begun)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)
        directory = self._house.parts.directory
        if forget and self.id in directory.agents:
            try:
                await directory.evict(self.id, None)
            except Exception:
                logger.exception("agent %s could not be closed", self.id)
                directory.agents.pop(self.id, None)

    async def _work(self) -> None:
        try:
            while self._waiting and not self._left:
                if self._agent is None:
                    await self._activate()
                    continue
                work = self._waiting.popleft()
                if work.message.kind not in {REQUEST, EVENT}:
                    await self._control(work)
                elif self.saves:
                    await self._handle(work)
                else:
                    self._start(work)
        except Exception:
            logger.exception("agent %s cannot go on; its messages are delivered again", self.id)
            self._house.own(asyncio.create_task(self._give_back()))
        finally:
            self._task = None
            self.idle_since = asyncio.get_running_loop().time()

    async def _give_back(self) -> None:
        """Forget the agent and let all that it has not finished be delivered again."""
        await self.leave()
        works = [work for work in self.source.works.values() if self.id in recipients(work.message)]
        self.source.give_back(works)

    # Making and restoring

    async def _activate(self) -> None:
        """Make the agent; where it cannot be made, the first message is answered with the reason."""
        directory = self._house.parts.directory
        try:
            agent = await directory.activate(self.id)
            self.saves = _saves(agent)
            if self.saves:
                await self._restore(agent)
        except (ServerAwayError, ServerRefusedError) as error:
            logger.debug("agent %s cannot be restored yet: %r", self.id, error)
            await asyncio.sleep(_AGAIN_S)
        except Exception as error:  # noqa: BLE001 - factories are anybody's code, and the sender waits
            if self._waiting:
                await self._fail(self._waiting.popleft(), error)
        else:
            self._agent = agent

    async def _restore(self, agent: Agent) -> None:

        self._record = await self._house.states.load(self.id)
        if self._record.state is not None:
            await agent.load_state(json.loads(self._record.state))

    async def _reload(self) -> None:
        """Make the agent anew from what is stored, after somebody else has written that."""
        self._agent = None
        if self.id in self._house.parts.directory.agents:
            await self._house.parts.directory.evict(self.id, None)

    # Handling without saved state: as messages come

    def _start(self, work: Work) -> None:
        former = self._stopped(work)
        if former is not None:
            self._house.own(asyncio.create_task(self._start_after(former, work)))
            return
        begun = self._begin(work)
        if begun is None:
            return
        if begun.reply.done() and not begun.handling.stored and not _failed(begun):
            self._finish(work, begun)
            return
        self._begun.add(begun)
        begun.reply.add_done_callback(lambda _: self._end(work, begun))

    async def _start_after(self, former: Begun, work: Work) -> None:
        await asyncio.wait([former.reply])
        if not work.lost:
            self._start(work)

    def _stopped(self, work: Work) -> Begun | None:
        """Return the handler of the same message that was cancelled and has not ended yet."""
        running = self._house.intake.begun.get((work.message.id, self.id))
        return running if running is not None and running.stopped else None

    def _end(self, work: Work, begun: Begun) -> None:
        self._begun.discard(begun)
        if not self._begun:
            self.idle_since = asyncio.get_running_loop().time()
        if work.lost:
            return
        if begun.handling.stored or (_failed(begun) and not work.message.answer_to):
            self._house.own(asyncio.create_task(self._finish_later(work, begun)))
        else:
            self._finish(work, begun)

    def _finish(self, work: Work, begun: Begun) -> None:
        answer = fitting(self._house.intake.write(begun), self._house.link.max_bytes)
        self._remember(begun, answer)
        self._answer(begun, answer)
        self._done(work)

    async def _finish_later(self, work: Work, begun: Begun) -> None:
        answer = await self._outcome(work, begun)
        if not work.lost:
            self._remember(begun, answer)
            self._answer(begun, answer)
            self._done(work)

    def _begin(self, work: Work) -> Begun | None:
        """Begin to handle a message, unless that has been done before."""
        house, message = self._house, work.message
        if work.lost or not house.may_handle(work):
            return None
        key = (message.id, self.id)
        if (running := house.intake.begun.get(key)) is not None:
            running.wanted_by(message.answer_to)
            running.reply.add_done_callback(lambda _: self._done(work))
            return None
        if (known := house.intake.answer_of(key)) is not None:
            self._tell(message.answer_to, known)
            self._done(work)
            return None
        if house.intake.is_cancelled(message):
            self._done(work)
            return None
        try:
            return house.intake.begin(message, self.id)
        except Exception as error:  # noqa: BLE001 - a payload may be anything
            house.own(asyncio.create_task(self._fail(work, error)))
            return None

    # Handling with saved state: one at a time

    async def _handle(self, work: Work) -> None:
        while not work.lost:
            if self._agent is None:
                await self._activate_again(work)
                continue
            known = self._record.answer_of(work.message.id)
            if known is not None:
                self._answer_known(work, known)
                return
            begun = await self._run(work)
            if begun is None or work.lost:
                return
            try:
                await self._commit(work, *begun)
            except ConflictError:
                logger.info("the state of %s was written elsewhere; it is read again", self.id)
                self._done_within()  # the handler sends them again
                await self._reload()
            else:
                return

    async def _activate_again(self, work: Work) -> None:
        agent = await self._house.parts.directory.activate(self.id)
        while not work.lost:
            try:
                await self._restore(agent)
            except (ServerAwayError, ServerRefusedError) as error:
                logger.debug("agent %s cannot be restored yet: %r", self.id, error)
                await asyncio.sleep(_AGAIN_S)
            else:
                self._agent = agent
                return

    async def _run(self, work: Work) -> tuple[Begun, bytes] | None:
        """Let the agent handle a message; return the answer, None if it is no longer this worker's."""
        if (former := self._stopped(work)) is not None:
            await asyncio.wait([former.reply])
        begun = self._begin(work)
        if begun is None:
            return None
        self._current = work.message.id
        self._begun.add(begun)
        try:
            await asyncio.wait([begun.reply])
            answer = await self._outcome(work, begun)
        finally:
            self._begun.discard(begun)
            self._current = None
        return begun, answer

    async def _outcome(self, work: Work, begun: Begun) -> bytes:
        """Return the answer of a handler that has ended, once all that it has sent is stored."""
        try:
            await begun.handling.settle()
        except Exception as error:  # noqa: BLE001 - what it has sent is lost, so it has failed
            answer = Answer.failed(begun.message.id, error)
        else:
            answer = self._house.intake.write(begun)
        if answer.error is not None and not begun.message.answer_to and not work.lost:
            await self._house.dead.bury(begun.message, self.id, answer.error, answer.metadata)
        return fitting(answer, self._house.link.max_bytes)

    async def _commit(self, work: Work, begun: Begun, answer: bytes) -> None:
        """Write the state that a message has led to, then answer it.

        What a cancelled handler has done to the state is kept, but the message does not count as handled: the handler that
        sent it may begin anew elsewhere, and then sends it again.
        """
        assert self._agent is not None
        try:
            state = to_json(await self._agent.save_state())
        except Exception as error:
            logger.exception("the state of agent %s cannot be saved; it goes on from what was saved last", self.id)
            await self._fail(work, error)
            self._done_within()
            await self._reload()
            return
        if state != self._record.state:
            self._record.state = state
            if not begun.reply.cancelled():
                self._record.add(work.message.id, answer)
            try:
                if not await self._write(work):
                    return
            except AutoGenError as error:
                logger.exception("the state of agent %s cannot be written; it goes on from the last that was", self.id)
                await self._fail(work, error)
                self._done_within()
                await self._reload()
                return
        self._remember(begun, answer)
        self._answer(begun, answer)
        self._done(work)
        self._done_within()

    def _done_within(self) -> None:
        """Acknowledge what was handled within a message that is finished now."""
        for within in self._within:
            self._done(within)
        self._within.clear()

    async def _write(self, work: Work) -> bool:
        """Write the record; while the server is away, for as long as this worker counts as alive.

        Raises:
            ConflictError: Somebody else has.
            MessageTooLargeError: It is longer than the server takes.
            ServerRefusedError: The server refuses it, and has for seconds.
        """
        patient_until = asyncio.get_running_loop().time() + _PATIENCE_S
        while not work.lost:
            try:
                await self._house.states.save(self.id, self._record)
            except ServerAwayError as error:
                logger.debug("the state of %s is not written yet: %r", self.id, error)
                await asyncio.sleep(_AGAIN_S)
            except ServerRefusedError as error:  # a cluster without leader says so, too
                if asyncio.get_running_loop().time() > patient_until:
                    raise
                logger.debug("the state of %s is not written yet: %r", self.id, error)
                await asyncio.sleep(_AGAIN_S)
            else:
                return True
        return False

    def _answer_known(self, work: Work, known: bytes) -> None:
        if not known:
            error = UndeliverableException(
                f"{self.id} has handled message {work.message.id} before; its answer was too long to be kept.",
                recipient=self.id,
            )
            known = Answer.failed(work.message.id, error).encode()
        self._tell(work.message.answer_to, known)
        self._done(work)

    async def _handle_within(self, work: Work) -> None:
        """Handle a message that the one being handled waits for; its effect is written together with that one's."""
        if work.message.kind not in {REQUEST, EVENT}:
            await self._control(work)
            return
        known = self._record.answer_of(work.message.id)
        if known is not None:
            self._answer_known(work, known)
            return
        begun = self._begin(work)
        if begun is None:
            return
        self._begun.add(begun)
        try:
            await asyncio.wait([begun.reply])
            answer = await self._outcome(work, begun)
        finally:
            self._begun.discard(begun)
        if work.lost:
            return
        if self._current is None:  # the one that sent it has not waited for it
            await self._commit_late(work, begun, answer)
            return
        if not begun.reply.cancelled():
            self._record.add(work.message.id, answer)
        self._answer(begun, answer)
        self._within.append(work)

    async def _commit_late(self, work: Work, begun: Begun, answer: bytes) -> None:
        try:
            await self._commit(work, begun, answer)
        except ConflictError:
            logger.info("the state of %s was written elsewhere; it is read again", self.id)
            await self._reload()
            self.put(work)

    # The rest

    async def _control(self, work: Work) -> None:
        assert self._agent is not None
        answer = await answer_control(self._agent, work.message)
        if work.message.kind == LOAD and self.saves:
            if answer.error is None and (error := await self._keep_loaded(work)) is not None:
                answer = Answer.failed(work.message.id, error)
            if work.lost:
                return
            if answer.error is not None and self._current is None:  # what the agent has taken up of it is not stored
                await self._reload()
        self._tell(work.message.answer_to, fitting(answer, self._house.link.max_bytes))
        self._done(work)

    async def _keep_loaded(self, work: Work) -> Exception | None:
        """Write the state that an agent was given; return why it cannot be kept."""
        assert self._agent is not None
        try:
            self._record.state = to_json(await self._agent.save_state())
            await self._write(work)
        except ConflictError as error:
            if self._current is None:
                raise  # it is delivered again, to the agent as it is stored
            return error
        except Exception as error:  # noqa: BLE001 - agents are anybody's code, and somebody waits for the answer
            return error
        return None

    async def _fail(self, work: Work, error: Exception) -> None:
        answer = Answer.failed(work.message.id, error)
        if not work.message.answer_to:
            await self._house.dead.bury(work.message, self.id, answer.error or "", answer.metadata)
        self._tell(work.message.answer_to, answer.encode())
        self._done(work)

    def _remember(self, begun: Begun, answer: bytes) -> None:
        if not begun.reply.cancelled():
            self._house.intake.remember((begun.message.id, self.id), answer)

    def _answer(self, begun: Begun, answer: bytes) -> None:
        for answer_to in begun.answers_to:
            self._tell(answer_to, answer)

    def _tell(self, answer_to: str, answer: bytes) -> None:
        if answer_to:
            self._house.link.post(answer_to, answer)

    def _done(self, work: Work) -> None:
        work.left -= 1
        if work.left == 0 and not work.lost:
            work.source.done(work)


def recipients(message: Message) -> list[AgentId]:
    """Return the agents that a message is for."""
    if message.topic is None:
        return [] if message.recipient is None else [message.recipient]
    hearers = [AgentId(hearer, message.topic.source) for hearer in message.hearers]
    return [agent for agent in hearers if agent != message.sender]


def _failed(begun: Begun) -> bool:
    return begun.reply.cancelled() or begun.reply.exception() is not None


def _saves(agent: Agent) -> bool:
    """Tell whether an agent has state worth keeping: whether it says how to save it."""
    if isinstance(agent, ClosureAgent):
        return False
    return not isinstance(agent, BaseAgent) or type(agent).save_state is not BaseAgent.save_state
