"""An agent that runs code: others' code, its model's code, only approved code, and never again after the cancellation."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from autogen_agentchat.agents._code_blocks import ApprovalFuncType, ApprovalRequest, ApprovalResponse
from autogen_agentchat.agents._code_executor_agent import CodeExecutorAgent
from autogen_agentchat.base import Response, RunCancelledError
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CodeExecutionEvent,
    CodeGenerationEvent,
    ModelClientStreamingChunkEvent,
    StopMessage,
    TextMessage,
)
from autogen_core import CancellationToken, ComponentModel
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import CreateResult

from .scripted import Model, answer, call, calls, said, text
from .terminal import Terminal

Item = BaseAgentEvent | BaseChatMessage | Response

ONE = "```python\nprint(1)\n```"
WRONG = "```python\nraise SystemExit('no')\n```"
SLOW = "```python\nimport time\nprint('ready', flush=True)\ntime.sleep(60)\n```"
AGAIN = '{"reason": "a typo", "retry": true}'
NEVER = '{"reason": "hopeless", "retry": false}'


def approve(request: ApprovalRequest) -> ApprovalResponse:
    return ApprovalResponse(approved=True, reason="fine")


def agent(terminal: Terminal, *answers: str | CreateResult | Model, **options: Any) -> CodeExecutorAgent:
    """Make an agent; with a model if there are answers, or a model, to give it."""
    if answers:
        [first, *_] = answers
        options["model_client"] = (
            first if isinstance(first, Model) else Model(*[a for a in answers if not isinstance(a, Model)])
        )
        options.setdefault("system_message", "S")
    options.setdefault("approval_func", approve)
    return CodeExecutorAgent("bob", terminal, **options)


async def turn(
    bob: CodeExecutorAgent, *messages: BaseChatMessage, token: CancellationToken | None = None
) -> list[Item]:
    return [item async for item in bob.on_messages_stream(messages, token or CancellationToken())]


async def reply(bob: CodeExecutorAgent, *messages: BaseChatMessage) -> str:
    return (await bob.on_messages(messages, CancellationToken())).chat_message.to_text()


async def history(bob: CodeExecutorAgent) -> list[str]:
    return [said(message) for message in await bob.model_context.get_messages()]


def shown(item: Item) -> str:
    if isinstance(item, Response):
        return f"response {item.chat_message.to_text()}"
    if isinstance(item, CodeGenerationEvent):
        return f"code {item.retry_attempt} {len(item.code_blocks)}"
    if isinstance(item, CodeExecutionEvent):
        return f"ran {item.retry_attempt} {item.result.exit_code}"
    return f"{type(item).__name__} {item.to_text()}"


def used(*items: Item) -> tuple[int, int]:
    usages = [item.models_usage for item in items if not isinstance(item, Response) and item.models_usage is not None]
    return sum(usage.prompt_tokens for usage in usages), sum(usage.completion_tokens for usage in usages)


# Without a model


async def test_code_in_the_messages_is_run_and_its_output_is_the_answer() -> None:
    terminal = Terminal()
    bob = agent(terminal)
    [response] = await turn(bob, text(f"Run this:\n{ONE}\nand this:\n```sh\necho two\n```"))
    assert isinstance(response, Response)
    assert response.chat_message.to_text() == "1\ntwo\n"
    assert response.inner_messages is None
    assert await history(bob) == []


async def test_the_answer_to_messages_without_code_is_the_constant_that_says_so() -> None:
    bob = agent(Terminal())
    assert await reply(bob, text("hello")) == CodeExecutorAgent.NO_CODE_BLOCKS_FOUND_MESSAGE
    assert await reply(bob) == CodeExecutorAgent.NO_CODE_BLOCKS_FOUND_MESSAGE


async def test_only_text_messages_of_the_sources_are_looked_at() -> None:
    terminal = Terminal()
    bob = agent(terminal, sources=["ann"])
    assert await reply(bob, text("```sh\necho no\n```", "eve"), text("```sh\necho yes\n```", "ann")) == "yes\n"
    stop = StopMessage(content="```sh\necho no\n```", source="ann")
    assert await reply(bob, stop) == CodeExecutorAgent.NO_CODE_BLOCKS_FOUND_MESSAGE
    assert await reply(agent(terminal, sources=[]), text(ONE)) == CodeExecutorAgent.NO_CODE_BLOCKS_FOUND_MESSAGE


async def test_a_failure_and_silence_are_put_into_words() -> None:
    bob = agent(Terminal())
    failed = await reply(bob, text("```sh\necho oh; exit 3\n```"))
    assert failed.endswith("oh\n")
    assert "exit code: 3" in failed
    assert "exit code was: 0" in await reply(bob, text("```sh\ntrue\n```"))
    assert "exit code was: 4" in await reply(bob, text("```sh\nexit 4\n```"))


async def test_the_error_of_the_executor_reaches_the_caller() -> None:
    class MyError(Exception): ...

    class Broken(Terminal):
        async def execute_code_blocks(
            self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
        ) -> CodeResult:
            raise MyError

    with pytest.raises(MyError):
        await reply(agent(Broken()), text(ONE))
    bob = agent(Broken(), ONE)
    with pytest.raises(MyError):
        await turn(bob, text("print one"))
    assert await history(bob) == ["user: print one", f"bob> {ONE}", "bob: The code could not be run: MyError: "]


BLOCKS: list[tuple[str, list[str]]] = [
    ("```python\nx\n```", ["python x\n"]),
    ("```Python  \r\nx\r\ny\r\n```\r\n", ["Python x\ny\n"]),
    ("say ```sh\nls\n``` please", ["sh ls\n"]),
    ("```python\nx```", ["python x"]),
    ("1. so:\n   ```python\n   if x:\n       y\n   ```", ["python if x:\n    y\n"]),
    ("```python\nprint('```')\n```", ["python print('```')\n"]),
    ("````python\n'''\n```\n'''\n````", ["python '''\n```\n'''\n"]),
    ("```python\na\n```\n```js\nb\n```\n```\nc\n```\n```sh\nd\n```", ["python a\n", "sh d\n"]),
    ("```python\na``` and\n```sh\nb\n```", ["python a", "sh b\n"]),
    ("```python3\nx\n```", []),
    ("```python\ncut off", []),
    ("```python\n```", ["python "]),
]


@pytest.mark.parametrize(("content", "blocks"), BLOCKS)
async def test_code_is_what_stands_between_fences_of_a_supported_language(content: str, blocks: list[str]) -> None:
    found = await agent(Terminal()).extract_code_blocks_from_messages([text(content)])
    assert [f"{block.language} {block.code}" for block in found] == blocks


async def test_other_languages_can_be_named() -> None:
    bob = agent(Terminal(), supported_languages=["c++"])
    found = await bob.extract_code_blocks_from_messages([text("```c++\nx\n```\n```python\ny\n```")])
    assert found == [CodeBlock(code="x\n", language="c++")]
    assert (
        await agent(Terminal(), supported_languages=[]).extract_code_blocks_from_messages([text("```\nx\n```")]) == []
    )


# With a model


async def test_the_model_writes_the_code_and_answers_from_its_output() -> None:
    model, terminal = Model(ONE, "It is 1."), Terminal()
    bob = agent(terminal, model)
    items = await turn(bob, text("print one"))
    assert [shown(item) for item in items] == ["code 0 1", "ran 0 0", "response It is 1."]
    assert model.requests[1] == ["system: S", "user: print one", f"bob> {ONE}", "bob: 1\n"]
    assert await history(bob) == ["user: print one", f"bob> {ONE}", "bob: 1\n", "bob> It is 1."]
    response = items[-1]
    assert isinstance(response, Response)
    assert [shown(item) for item in response.inner_messages or ()] == ["code 0 1", "ran 0 0"]


async def test_words_without_code_are_the_answer() -> None:
    terminal = Terminal()
    bob = agent(terminal, "Hello.", system_message=None)
    assert [shown(item) for item in await turn(bob, text(ONE))] == ["response Hello."]
    assert terminal.ran == []
    assert await history(bob) == [f"user: {ONE}", "bob> Hello."]


async def test_streamed_chunks_name_the_code_or_the_message_they_make_up() -> None:
    bob = agent(Terminal(), ONE, "It is 1.", model_client_stream=True)
    items = await turn(bob, text("print one"))
    texts: dict[str | None, str] = {}
    for item in items:
        if isinstance(item, ModelClientStreamingChunkEvent):
            texts[item.full_message_id] = texts.get(item.full_message_id, "") + item.content
    [code] = [item for item in items if isinstance(item, CodeGenerationEvent)]
    assert isinstance(items[-1], Response)
    assert texts == {code.id: "```python print(1) ```", items[-1].chat_message.id: "It is 1."}


async def test_code_that_fails_is_written_anew_if_the_model_says_so() -> None:
    model, terminal = Model(WRONG, AGAIN, ONE, "It is 1."), Terminal()
    bob = agent(terminal, model, max_retries_on_error=2)
    items = await turn(bob, text("print one"))
    assert [shown(item) for item in items] == [
        "code 0 1",
        "ran 0 1",
        "code 0 0",
        "code 1 1",
        "ran 1 0",
        "response It is 1.",
    ]
    assert isinstance(items[2], CodeGenerationEvent)
    assert items[2].content == "Attempt number: 1\nProposed correction: a typo"
    told = await history(bob)
    assert told.count("user: print one") == 1
    assert told[3] == "bob: Attempt number: 1\nProposed correction: a typo"
    assert [option.get("json_output") is not None for option in model.options] == [False, True, False, False]


@pytest.mark.parametrize("decision", [NEVER, "I would not know."])
async def test_the_model_answers_from_the_error_if_there_is_no_decision_to_retry(decision: str) -> None:
    bob = agent(Terminal(), WRONG, decision, "It failed.", max_retries_on_error=2)
    assert [shown(item) for item in await turn(bob, text("go"))] == ["code 0 1", "ran 0 1", "response It failed."]


async def test_retries_end_at_their_maximum() -> None:
    terminal = Terminal()
    bob = agent(terminal, WRONG, AGAIN, WRONG, "It failed twice.", max_retries_on_error=1)
    items = await turn(bob, text("go"))
    assert [shown(item) for item in items][-2:] == ["ran 1 1", "response It failed twice."]
    assert len(terminal.ran) == 2


async def test_usage_in_the_messages_is_what_the_model_reported() -> None:
    for script in ([WRONG, AGAIN, ONE, "Done."], [WRONG, NEVER, "It failed."], ["No code."]):
        model = Model(*script)
        bob = agent(Terminal(), model, max_retries_on_error=1)
        result = await bob.run(task="go")
        total = model.total_usage()
        assert used(*result.messages) == (total.prompt_tokens, total.completion_tokens)


async def test_retries_need_a_model_that_can_decide() -> None:
    with pytest.raises(ValueError, match="model_client"):
        agent(Terminal(), max_retries_on_error=1)
    model = Model("x")
    model.model_info["structured_output"] = False
    with pytest.raises(ValueError, match="structured output"):
        agent(Terminal(), model, max_retries_on_error=1)


async def test_tool_calls_of_a_model_that_has_no_tools_are_an_error() -> None:
    bob = agent(Terminal(), calls(call("add")))
    with pytest.raises(RuntimeError, match="was offered none"):
        await turn(bob, text("go"))
    assert await history(bob) == ["user: go"]


async def test_thoughts_are_events_and_stay_in_the_conversation() -> None:
    bob = agent(Terminal(), answer(ONE, "hm"), answer("Done.", "ah"))
    items = await turn(bob, text("go"))
    assert [shown(item) for item in items] == [
        "ThoughtEvent hm",
        "code 0 1",
        "ran 0 0",
        "ThoughtEvent ah",
        "response Done.",
    ]
    assert (await history(bob))[1] == f"bob> (hm) {ONE}"


async def test_the_model_sees_what_the_context_shows() -> None:
    model = Model("One.", "Two.")
    bob = agent(Terminal(), model, model_context=BufferedChatCompletionContext(buffer_size=1))
    await turn(bob, text("1"))
    await turn(bob, text("2"))
    assert model.requests == [["system: S", "user: 1"], ["system: S", "user: 2"]]


async def test_reset_forgets_the_conversation_and_leaves_the_executor_alone() -> None:
    terminal = Terminal()
    bob = agent(terminal, ONE, "Done.")
    await turn(bob, text("go"))
    await bob.on_reset(CancellationToken())
    assert await history(bob) == []
    assert terminal.ran == ["print(1)\n"]


# Approval


def asking(approved: bool) -> list[tuple[ApprovalFuncType, list[ApprovalRequest]]]:
    """Approval functions of all kinds, each with the requests it gets."""
    made: list[tuple[ApprovalFuncType, list[ApprovalRequest]]] = []
    for kind in ("plain", "async", "object", "lambda"):
        requests: list[ApprovalRequest] = []

        def decide(request: ApprovalRequest, requests: list[ApprovalRequest] = requests) -> ApprovalResponse:
            requests.append(request)
            return ApprovalResponse(approved=approved, reason="because")

        async def decide_later(
            request: ApprovalRequest, decide: Callable[[ApprovalRequest], ApprovalResponse] = decide
        ) -> ApprovalResponse:
            await asyncio.sleep(0)
            return decide(request)

        class Decider:
            def __init__(self, decide: Callable[[ApprovalRequest], ApprovalResponse]) -> None:
                self.decide = decide

            async def __call__(self, request: ApprovalRequest) -> ApprovalResponse:
                return self.decide(request)

        kinds: dict[str, ApprovalFuncType] = {
            "plain": decide,
            "async": decide_later,
            "object": Decider(decide),
            "lambda": lambda request, later=decide_later: later(request),
        }
        made.append((kinds[kind], requests))
    return made


async def test_approved_code_runs_whatever_kind_of_function_approves() -> None:
    for function, requests in asking(approved=True):
        bob = agent(Terminal(), ONE, "Done.", approval_func=function)
        await turn(bob, text("go"))
        [request] = requests
        assert request.code == "```python\nprint(1)\n\n```"
        assert [said(message) for message in request.context] == ["user: go", f"bob> {ONE}"]


async def test_code_that_is_not_approved_does_not_run_and_counts_as_failed() -> None:
    for function, _ in asking(approved=False):
        terminal = Terminal()
        refused = await reply(agent(terminal, approval_func=function), text(ONE))
        assert refused == "Code execution was not approved. Reason: because"
        items = await turn(agent(terminal, ONE, "I may not.", approval_func=function), text("go"))
        assert [shown(item) for item in items] == ["code 0 1", "ran 0 1", "response I may not."]
        assert terminal.ran == []


async def test_an_answer_that_is_no_approval_runs_nothing() -> None:
    terminal = Terminal()
    says_yes: Any = bool
    with pytest.raises(TypeError, match="must return an ApprovalResponse, got bool"):
        await reply(agent(terminal, approval_func=says_yes), text(ONE))
    assert terminal.ran == []


async def test_a_human_who_does_not_answer_can_be_cancelled() -> None:
    asked, answered = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(request: ApprovalRequest) -> ApprovalResponse:
        loop.call_soon_threadsafe(asked.set)
        answered.wait(30)
        return ApprovalResponse(approved=True, reason="late")

    terminal, token = Terminal(), CancellationToken()
    run = asyncio.create_task(agent(terminal, approval_func=wait).run(task=ONE, cancellation_token=token))
    await asked.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    answered.set()
    assert terminal.ran == []


async def test_nobody_looking_at_the_code_is_worth_a_warning() -> None:
    with pytest.warns(UserWarning, match="approval_func"):
        CodeExecutorAgent("bob", Terminal())


# Cancelling, pausing


@pytest.mark.parametrize("with_model", [False, True])
async def test_cancelling_ends_the_running_code_at_once(with_model: bool) -> None:
    terminal, token = Terminal(), CancellationToken()
    bob = agent(terminal, SLOW, "Done.") if with_model else agent(terminal)
    run = asyncio.create_task(bob.run(task=SLOW, cancellation_token=token))
    await terminal.started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await asyncio.wait_for(run, 10)
    [process] = terminal.processes
    assert process.returncode is not None
    assert isinstance(caught.value, RunCancelledError)
    kinds = [type(message) for message in caught.value.messages]
    assert kinds == [TextMessage, *([CodeGenerationEvent] if with_model else [])]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_after_cancelled_code_the_conversation_says_so_and_the_turn_can_be_begun_again() -> None:
    terminal, token = Terminal(), CancellationToken()
    bob = agent(terminal, SLOW, ONE, "It is 1.")
    task = text("go")
    run = asyncio.create_task(turn(bob, task, token=token))
    await terminal.started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    told = await history(bob)
    assert told[:2] == ["user: go", f"bob> {SLOW}"]
    assert "did not run to its end" in told[2]
    saved = json.loads(json.dumps(await bob.save_state()))

    fresh = agent(Terminal(), ONE, "It is 1.")
    await fresh.load_state(saved)
    for again in (bob, fresh):
        await turn(again, task)
        assert (await history(again)).count("user: go") == 1
        assert (await history(again))[-1] == "bob> It is 1."


async def test_an_executor_that_ends_quietly_when_cancelled_does_not_hide_the_cancellation() -> None:
    class Quiet(Terminal):
        async def execute_code_blocks(
            self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
        ) -> CodeResult:
            cancellation_token.cancel()
            return CodeResult(exit_code=1, output="cancelled")

    model = Model(ONE, "Done.")
    with pytest.raises(asyncio.CancelledError):
        await turn(agent(Quiet(), model), text("go"))
    assert len(model.requests) == 1
    with pytest.raises(asyncio.CancelledError):
        await turn(agent(Quiet()), text(ONE))


async def test_nothing_starts_with_a_cancelled_token() -> None:
    terminal, token, model = Terminal(), CancellationToken(), Model("x")
    token.cancel()
    for bob in (agent(terminal), agent(terminal, model)):
        with pytest.raises(asyncio.CancelledError):
            await turn(bob, text(ONE), token=token)
    assert (terminal.ran, model.requests) == ([], [])


async def test_a_reader_who_leaves_ends_the_turn() -> None:
    terminal = Terminal()
    bob = agent(terminal, ONE, "Done.")
    stream = bob.on_messages_stream([text("go")], CancellationToken())
    assert shown(await anext(stream)) == "code 0 1"
    await stream.aclose()
    assert terminal.ran == []
    assert "did not run to its end" in (await history(bob))[-1]


async def test_a_paused_agent_starts_neither_code_nor_model() -> None:
    terminal, model = Terminal(), Model(ONE, "Done.")
    bob = agent(terminal, model)
    stream = bob.on_messages_stream([text("go")], CancellationToken())
    assert shown(await anext(stream)) == "code 0 1"
    await bob.on_pause(CancellationToken())
    rest = asyncio.create_task(_rest(stream))
    for _ in range(20):
        await asyncio.sleep(0)
    assert (terminal.ran, len(model.requests)) == ([], 1)
    await bob.on_resume(CancellationToken())
    assert [shown(item) for item in await rest] == ["ran 0 0", "response Done."]


async def _rest(stream: Any) -> list[Item]:
    return [item async for item in stream]


# Saving


async def test_a_state_is_json_and_gives_the_conversation_back() -> None:
    bob = agent(Terminal(), ONE, "Done.")
    await turn(bob, text("go"))
    state = await bob.save_state()
    assert json.loads(json.dumps(state)) == state
    other = agent(Terminal(), "x")
    for _ in range(2):
        await other.load_state(state)
        assert await history(other) == await history(bob)
        assert await other.save_state() == state


async def test_a_state_of_0_7_5_loads_and_changes_nothing() -> None:
    bob = agent(Terminal(), "Hello.")
    await turn(bob, text("hi"))
    await bob.load_state({"type": "BaseState", "version": "1.0.0"})
    assert await history(bob) == ["user: hi", "bob> Hello."]


async def test_a_saved_component_behaves_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGEN_ALLOWED_PROVIDER_NAMESPACES", Terminal.__module__)
    monkeypatch.setattr("autogen_agentchat.agents.CodeExecutorAgent", CodeExecutorAgent, raising=False)
    with pytest.warns(UserWarning, match="approval_func"):
        bob = CodeExecutorAgent(
            "bob",
            Terminal("> "),
            model_client=_replay(WRONG, AGAIN, "```sh\necho hi\n```", "Done."),
            model_client_stream=True,
            max_retries_on_error=1,
            system_message=None,
            sources=["ann"],
            supported_languages=["sh", "python"],
            model_context=BufferedChatCompletionContext(5),
        )
    saved = ComponentModel.model_validate_json(bob.dump_component().model_dump_json())
    assert saved.provider == "autogen_agentchat.agents.CodeExecutorAgent"
    with pytest.warns(UserWarning, match="approval_func"):
        again = CodeExecutorAgent.load_component(saved)
    assert again.dump_component() == bob.dump_component()
    assert [shown(item) for item in await turn(again, text("go"))] == [
        shown(item) for item in await turn(bob, text("go"))
    ]


def _replay(*answers: str) -> Any:
    from autogen_ext.models.replay import ReplayChatCompletionClient

    return ReplayChatCompletionClient(list(answers), Model("x").model_info)


async def test_an_approval_function_cannot_be_saved_and_the_error_says_so() -> None:
    with pytest.raises(ValueError, match="approval_func"):
        agent(Terminal()).dump_component()


async def test_a_saved_agent_of_0_7_5_is_read_with_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGEN_ALLOWED_PROVIDER_NAMESPACES", Terminal.__module__)
    monkeypatch.setattr("autogen_agentchat.agents.CodeExecutorAgent", CodeExecutorAgent, raising=False)
    config = {"name": "bob", "code_executor": Terminal().dump_component().model_dump()}
    saved = ComponentModel(provider="autogen_agentchat.agents.CodeExecutorAgent", config=config)
    with pytest.warns(UserWarning, match="approval_func"):
        bob = CodeExecutorAgent.load_component(saved)
    assert bob.description == CodeExecutorAgent.DEFAULT_TERMINAL_DESCRIPTION
    assert await reply(bob, text(ONE)) == "1\n"
    assert agent(Terminal(), "x").description == CodeExecutorAgent.DEFAULT_AGENT_DESCRIPTION
