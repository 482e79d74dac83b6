"""`MagenticOneOrchestrator`: leads a team by two ledgers, after Fourney et al. (2024), arXiv:2411.04468.

The outer loop writes the task ledger: facts and a plan. The inner loop fills in the progress ledger before each turn: is the
request satisfied, does the team go round in circles, who is to do what next. Too many stalls lead back to the outer loop,
with new facts, a new plan, and participants that begin afresh. Where the orchestrator stands is in `Standing`, step by
step, so that a run that was cut short, or saved in its middle, goes on from there.

Stands on the manager, the ledger and the prompts; knows no agent.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pydantic import BaseModel, Field

from autogen_agentchat._names import TRACE_LOGGER_NAME
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, SelectorEvent, StopMessage, TextMessage
from autogen_agentchat.state import BaseGroupChatManagerState, MagenticOneOrchestratorState
from autogen_agentchat.teams._magentic_one import _prompts as prompts
from autogen_agentchat.teams._magentic_one._ledger import LedgerError, ProgressLedger, ledger_type, read_ledger
from autogen_agentchat.teams._manager import BaseGroupChatManager
from autogen_agentchat.teams._protocol import GroupChatStart, ManagerSettings
from autogen_agentchat.utils import content_to_str, remove_images
from autogen_core.models import AssistantMessage, ChatCompletionClient, LLMMessage, RequestUsage, UserMessage

_log = logging.getLogger(TRACE_LOGGER_NAME)

LEDGER_ATTEMPTS = 10
"""How often the model is asked for one progress ledger before the run ends."""

MAX_REPLANS = 10
"""How many new plans a run may make before it ends, also where `max_turns` sets no limit."""


@dataclass
class Standing:
    """Where the orchestrator stands.

    Attributes:
        task: The request.
        facts: The facts of the task ledger.
        plan: The plan of the task ledger; empty until there was one.
        n_rounds: How many progress ledgers the run has used.
        n_stalls: Goes up with each ledger that sees a loop or no progress, down with each other one.
        n_replans: How many new plans the run has made.
        stage: What is to be done before the next turn: "facts", "plan" or "briefing"; empty for the progress ledger.
        draft: Facts that wait for their plan.
        ending: Why the run ends, as soon as only the final answer is missing.
        under_way: Whether a run is under way.
        aside: The ids of what a speaker said on the way to its answer: for the termination condition, and nobody else.
    """

    task: str = ""
    facts: str = ""
    plan: str = ""
    n_rounds: int = 0
    n_stalls: int = 0
    n_replans: int = 0
    stage: str = ""
    draft: str = ""
    ending: str = ""
    under_way: bool = False
    aside: list[str] = field(default_factory=list[str])


class OrchestratorState(MagenticOneOrchestratorState):
    """The saved form: that of 0.7.5, and where a run stands that is under way."""

    additions = BaseGroupChatManagerState.additions | {"n_replans", "stage", "draft", "ending", "under_way", "aside"}

    n_replans: int = Field(default=0, ge=0)
    stage: str = Field(default="", pattern="^(facts|plan|briefing)?$")
    draft: str = ""
    ending: str = ""
    under_way: bool = False
    aside: list[str] = Field(default_factory=list[str])


class MagenticOneOrchestrator(BaseGroupChatManager):
    """Plans, chooses who does what, watches the progress, and writes the final answer.

    What it says itself the termination condition does not see.

    Args:
        settings: What every manager is made from.
        model_client: The model that plans and judges.
        max_stalls: At how many stalls there is a new plan.
        final_answer_prompt: Asks for the final answer; `{task}` stands for the task.
    """

    state_type = OrchestratorState

    def __init__(
        self, settings: ManagerSettings, model_client: ChatCompletionClient, max_stalls: int, final_answer_prompt: str
    ) -> None:
        super().__init__(settings)
        self._model_client = model_client
        self._max_stalls = max_stalls
        self._final_answer_prompt = final_answer_prompt
        self._team = prompts.team_text((seat.name, seat.description) for seat in settings.seats)
        self._ledger_type = ledger_type(list(self._seats))
        self._at = Standing()
        self._spent = RequestUsage(prompt_tokens=0, completion_tokens=0)
        """What calls to the model took that are in no message yet."""

    # The two loops

    async def select_speaker(self, thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | StopMessage:
        """Go on with planning and judging until somebody is to speak, or the run ends."""
        while True:
            limit = self._settings.max_turns
            if self._at.ending:
                return await self._answer()
            if self._at.stage:
                await self._plan()
            elif limit is not None and self._at.n_rounds > limit:  # as in 0.7.5, one turn more than the limit says
                self._at.ending = "Max rounds reached."
            else:
                step = await self._step()
                if step is not None:
                    return step

    async def _plan(self) -> None:
        """Write the task ledger, from the stage on that was reached, and brief the team."""
        at = self._at
        asked = UserMessage(
            content=prompts.new_facts(at.task, at.facts) if at.plan else prompts.first_facts(at.task),
            source=self._settings.name,
        )
        if at.stage == "facts":
            at.draft = await self._ask([asked])
            at.stage = "plan"
        if at.stage == "plan":
            request = prompts.new_plan(self._team) if at.plan else prompts.first_plan(self._team)
            listed = AssistantMessage(content=at.draft, source=self._settings.name)
            plan = await self._ask([asked, listed, UserMessage(content=request, source=self._settings.name)])
            at.facts, at.plan, at.draft, at.stage = at.draft, plan, "", "briefing"
        await self.going_on()
        await self.reset_participants()
        # What came from outside while the plan was made is for the team, which has not heard it.
        kept = [message for message in self._message_thread[self._judged :] if self._is_from_others(message)]
        self._message_thread.clear()
        self._judged = 0
        self._say(prompts.briefing(at.task, self._team, at.facts, at.plan))
        self._record(kept, [message for message in kept if isinstance(message, BaseChatMessage)], None)
        at.stage = ""

    async def _step(self) -> str | StopMessage | None:
        """Fill in the progress ledger, and act on it: name who speaks, or return None if there is no turn yet."""
        ledger = await self._ledger()
        if isinstance(ledger, StopMessage):
            return ledger
        at = self._at
        at.n_rounds += 1
        if ledger.is_request_satisfied.answer:
            at.ending = ledger.is_request_satisfied.reason.strip() or "The request is satisfied."
            return None
        if ledger.is_in_loop.answer or not ledger.is_progress_being_made.answer:
            at.n_stalls += 1
        else:
            at.n_stalls = max(0, at.n_stalls - 1)
        if at.n_stalls < self._max_stalls:
            self._say(ledger.instruction_or_question.answer)
            return ledger.next_speaker.answer
        if at.n_replans < MAX_REPLANS:
            at.n_replans += 1
            at.stage = "facts"
        else:
            at.ending = f"The team made no progress with {at.n_replans} new plans."
        return None

    async def _ledger(self) -> ProgressLedger | StopMessage:
        """Ask for the progress ledger, and ask again with what was wrong with it."""
        names = list(self._seats)
        request = UserMessage(content=prompts.progress(self._at.task, self._team, names), source=self._settings.name)
        again: list[LLMMessage] = []
        problem = ""
        for attempt in range(1, LEDGER_ATTEMPTS + 1):
            text = await self._ask([request, *again], self._json_output())
            try:
                ledger = read_ledger(text, names)
            except LedgerError as error:
                problem = str(error)
                self._report(attempt, problem)
                again = [UserMessage(content=prompts.correction(error.problems), source=self._settings.name)]
                if text.strip():  # models refuse an empty message
                    again.insert(0, AssistantMessage(content=text, source=self._settings.name))
            else:
                _log.debug("Progress ledger of %s: %s", self._settings.name, ledger)
                return ledger
        return StopMessage(
            content=f"No usable progress ledger in {LEDGER_ATTEMPTS} attempts. In the last, {problem}.",
            source=self._settings.name,
        )

    def _report(self, attempt: int, problem: str) -> None:
        text = f"Attempt {attempt} of {LEDGER_ATTEMPTS} at a progress ledger: {problem}."
        _log.debug("%s: %s", self._settings.name, text)
        if self._settings.emit_team_events:
            self._settings.emit(SelectorEvent(content=text, source=self._settings.name))

    async def _answer(self) -> StopMessage:
        """Write the final answer, and end the run."""
        request = prompts.final_answer(self._final_answer_prompt, self._at.task)
        self._say(await self._ask([UserMessage(content=request, source=self._settings.name)]))
        reason, self._at.ending = self._at.ending, ""
        return StopMessage(content=reason, source=self._settings.name)

    # The model

    async def _ask(self, request: Sequence[LLMMessage], json_output: bool | type[BaseModel] | None = None) -> str:
        """Return what the model says to a request that follows the conversation."""
        token = await self.going_on()
        result = await self._model_client.create(
            [*self._conversation(), *request], json_output=json_output, cancellation_token=token
        )
        self._spent.prompt_tokens += result.usage.prompt_tokens
        self._spent.completion_tokens += result.usage.completion_tokens
        return content_to_str(result.content)

    def _json_output(self) -> bool | type[BaseModel] | None:
        info = self._model_client.model_info
        if info.get("structured_output"):
            return self._ledger_type
        return True if info.get("json_output") else None

    def _conversation(self) -> list[LLMMessage]:
        """Return the thread as the model reads it: its own words, and what others said to it."""
        conversation: list[LLMMessage] = []
        for message in self._message_thread:
            if not isinstance(message, BaseChatMessage):
                continue
            if self._is_from_others(message):
                conversation.append(message.to_model_message())
            else:
                conversation.append(AssistantMessage(content=message.to_model_text(), source=message.source))
        return conversation if self._model_client.model_info.get("vision") else remove_images(conversation)

    def _is_from_others(self, message: BaseAgentEvent | BaseChatMessage) -> bool:
        return message.source != self._settings.name

    def _usage(self) -> RequestUsage | None:
        """Return what calls took that no message has yet; the caller puts it into one."""
        spent, self._spent = self._spent, RequestUsage(prompt_tokens=0, completion_tokens=0)
        return spent if spent.prompt_tokens or spent.completion_tokens else None

    def _say(self, text: str) -> None:
        self.say(TextMessage(content=text, source=self._settings.name, models_usage=self._usage()))

    # The run

    async def validate_group_state(self, messages: Sequence[BaseChatMessage]) -> None:
        """Raise `ValueError` if there is nothing to work on."""
        if not messages and not self._at.task:
            raise ValueError("A Magentic-One team needs a task for its first run: run(task=...).")

    async def _converse(self, start: GroupChatStart) -> StopMessage:
        if fresh := await self._take_in(start):
            self._take_up(fresh)
        elif not self._at.under_way:
            self._at.n_rounds = self._at.n_replans = 0
        self._at.under_way = True
        try:
            return await self._talk()  # the team hears of the task in the briefing
        finally:
            self._at.under_way = False
            if usage := self._usage():
                text = "The run ended before these calls to the model led to a message."
                self._settings.emit(SelectorEvent(content=text, source=self._settings.name, models_usage=usage))

    def _take_up(self, messages: Sequence[BaseChatMessage]) -> None:
        """Begin with a new task. Of what was before, only messages from outside are kept that nobody has heard."""
        task = "\n".join(message.to_model_text() for message in messages)
        self._message_thread[:] = filter(self._is_from_others, self._message_thread[self._judged :])
        self._judged = 0
        self._active = []
        self._at = Standing(task=task, stage="facts")

    def turn_ended(self, speaker: str, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> None:
        """Note what is not the answer."""
        self._at.aside.extend(message.id for message in messages[:-1])

    async def _judge(self) -> StopMessage | None:
        """Show the termination condition what others said; then keep of each turn the answer."""
        fresh = [message for message in self._message_thread[self._judged :] if self._is_from_others(message)]
        self._judged = len(self._message_thread)
        condition = self._settings.termination_condition
        stop = await condition(fresh) if condition is not None and fresh else None
        if self._at.aside:
            aside = set(self._at.aside)
            seen = [message for message in self._message_thread[: self._judged] if message.id not in aside]
            self._message_thread[: self._judged] = seen
            self._judged = len(seen)
            self._at.aside = []
        return stop

    def _at_limit(self) -> StopMessage | None:
        return None  # rounds are counted, and the last word is the final answer

    # State

    async def reset(self) -> None:
        """Forget task, facts and plan."""
        self._at = Standing()

    def own_state(self) -> Mapping[str, Any]:
        """Return where the orchestrator stands."""
        return asdict(self._at)

    def load_own_state(self, state: OrchestratorState) -> None:
        """Take up where it stood. A state of 0.7.5 that has no plan was saved while the first one was made."""
        at = Standing(**{each.name: getattr(state, each.name) for each in fields(Standing)})
        if at.task and not at.plan and not at.stage:
            at.stage = "facts"
        self._at = at
