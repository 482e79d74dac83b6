"""Two organisations that share one agent and one topic, by contract, and see nothing else of each other.

Organisation A runs a NATS server with an account for each. Organisation B runs its agents on a server of its own, which is a
leaf node of A's: it goes on alone when the line is cut. The server lets through what A exports and B imports; what crosses is
checked against the contract (schema, rate, expiry), and both write a line about it with the same id.
Start it: `.venv/bin/python examples/organisations.py`.
"""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from pydantic import BaseModel, ConfigDict, ValidationError

from autogen_core import AgentId, MessageContext, RoutedAgent, TopicId, event, rpc, type_subscription
from autogen_core.exceptions import AutoGenError
from autogen_ext.runtimes.nats import (
    NatsAccount,
    NatsAgentRuntime,
    NatsExport,
    NatsImport,
    NatsLeafListen,
    NatsLeafRemote,
    NatsSecurity,
    NatsServer,
    NatsServerOptions,
    NatsUser,
)

ANSWER_S = 10.0


class Question(BaseModel):
    """What the helper is asked."""

    model_config = ConfigDict(extra="forbid")
    text: str


class Answer(BaseModel):
    """What it answers."""

    model_config = ConfigDict(extra="forbid")
    text: str


class OrderPlaced(BaseModel):
    """What is told of an order."""

    model_config = ConfigDict(extra="forbid")
    number: int
    pieces: int


# The contract


@dataclass(frozen=True)
class Contract:
    """What one organisation offers another: `subject` here is what the server exports, to that partner only."""

    name: str
    partner: str
    schema: type[BaseModel]
    expires: datetime
    per_minute: int

    @property
    def subject(self) -> str:
        """Where it crosses."""
        return f"contract.{self.partner}.{self.name}"


YEAR_END = datetime.now(UTC) + timedelta(days=365)
HELPER = Contract("helper", "org-b", Question, YEAR_END, per_minute=3)
ORDERS = Contract("orders", "org-b", OrderPlaced, YEAR_END, per_minute=1_000)
FORMER = Contract("former-helper", "org-b", Question, datetime(2020, 1, 1, tzinfo=UTC), per_minute=3)
CONTRACTS = (HELPER, ORDERS, FORMER)


class RefusedError(Exception):
    """The contract does not allow it."""


@dataclass
class Border:
    """One organisation's side of all contracts: lets through what they allow, and writes down what came by."""

    organisation: str
    audit: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    _passed: dict[str, deque[datetime]] = field(default_factory=dict[str, deque[datetime]])

    def check(self, contract: Contract, data: bytes) -> BaseModel:
        """Return the message if the contract allows it now; refused ones count, too."""
        now = datetime.now(UTC)
        if now >= contract.expires:
            raise RefusedError(f"the contract expired on {contract.expires:%Y-%m-%d}")
        passed = self._passed.setdefault(contract.name, deque())
        while passed and now - passed[0] > timedelta(minutes=1):
            passed.popleft()
        if len(passed) >= contract.per_minute:
            raise RefusedError(f"more than {contract.per_minute} in a minute")
        passed.append(now)
        try:
            return contract.schema.model_validate_json(data)
        except ValidationError as error:
            raise RefusedError(
                f"not of the schema {contract.schema.__name__} ({error.error_count()} errors)"
            ) from error

    def note(self, contract: Contract, message_id: str, outcome: str) -> None:
        """Write the line about a message that came by."""
        line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": self.organisation}
        self.audit.append(line | {"contract": contract.name, "id": message_id, "outcome": outcome})


def header(message: Msg, name: str) -> str:
    """Return a header of a message; empty without it."""
    return (message.headers or {}).get(name, "")


# Organisation A: offers its helper and its orders


class Helper(RoutedAgent):
    """The agent that A shares."""

    def __init__(self) -> None:
        super().__init__("Answers questions.")

    @rpc
    async def answer(self, message: Question, ctx: MessageContext) -> Answer:
        """Answer a question."""
        return Answer(text=f"{message.text}? Of course!")


@type_subscription("orders")
class OrderExport(RoutedAgent):
    """Hears A's orders, and lets them out."""

    def __init__(self, client: Any, border: Border) -> None:
        super().__init__("Shares orders with organisation B.")
        self._client, self._border = client, border

    @event
    async def share(self, message: OrderPlaced, ctx: MessageContext) -> None:
        """Let an order out, if the contract allows it."""
        data = message.model_dump_json().encode()
        try:
            self._border.check(ORDERS, data)
        except RefusedError as refusal:
            self._border.note(ORDERS, ctx.message_id, f"kept back: {refusal}")
        else:
            await self._client.publish(ORDERS.subject, data, headers={"id": ctx.message_id})
            self._border.note(ORDERS, ctx.message_id, "shared")


async def offer(contract: Contract, agent: AgentId, client: Any, runtime: NatsAgentRuntime, border: Border) -> None:
    """Answer the partner's requests with an agent of ours."""

    async def take(message: Msg) -> None:
        message_id = header(message, "id")
        try:
            question = border.check(contract, message.data)
            answer: Answer = await runtime.send_message(question, agent, timeout=ANSWER_S)
            outcome, headers, data = "answered", {"id": message_id}, answer.model_dump_json().encode()
        except (RefusedError, AutoGenError) as error:
            outcome, data = f"refused: {error}", b""
            headers = {"id": message_id, "refused": str(error)}
        border.note(contract, message_id, outcome)
        await client.publish(message.reply, data, headers=headers)

    await client.subscribe(contract.subject, queue="border", cb=take)


# Organisation B: uses them under names of its own


class Partner(RoutedAgent):
    """Stands in B for an agent of A."""

    def __init__(self, contract: Contract, client: Any, border: Border) -> None:
        super().__init__(f"The {contract.name} of organisation A.")
        self._contract, self._client, self._border = contract, client, border

    @rpc
    async def ask(self, message: Question, ctx: MessageContext) -> Answer:
        """Ask A's agent, and give its answer."""
        headers = {"id": ctx.message_id}
        data = message.model_dump_json().encode()
        reply: Msg = await self._client.request(self._contract.subject, data, timeout=2 * ANSWER_S, headers=headers)
        refusal = header(reply, "refused")
        self._border.note(self._contract, ctx.message_id, f"refused: {refusal}" if refusal else "answered")
        if refusal:
            raise RefusedError(refusal)
        return Answer.model_validate_json(reply.data)


@type_subscription("orders-of-a")
class Stock(RoutedAgent):
    """Hears A's orders in B."""

    def __init__(self, heard: Callable[[OrderPlaced], None]) -> None:
        super().__init__("Counts pieces.")
        self._heard = heard

    @event
    async def count(self, message: OrderPlaced, ctx: MessageContext) -> None:
        """Count an order of A's."""
        self._heard(message)


async def receive(client: Any, runtime: NatsAgentRuntime, border: Border) -> None:
    """Publish A's orders in B, under B's name for them."""

    async def take(message: Msg) -> None:
        message_id = header(message, "id")
        try:
            order = border.check(ORDERS, message.data)
        except RefusedError as refusal:
            border.note(ORDERS, message_id, f"refused: {refusal}")
        else:
            await runtime.publish_message(order, TopicId("orders-of-a", "default"), message_id=message_id)
            border.note(ORDERS, message_id, "received")

    await client.subscribe(ORDERS.subject, cb=take)


# The server, and the program


def hub_options() -> NatsServerOptions:
    """Return A's server: an account for each organisation, and what crosses between them."""
    services = [one for one in CONTRACTS if one is not ORDERS]
    exports = tuple(NatsExport(kind="service", subject=one.subject, accounts=(one.partner,)) for one in services)
    imports = tuple(NatsImport(kind="service", account="org-a", subject=one.subject) for one in services)
    topic = NatsExport(kind="stream", subject=ORDERS.subject, accounts=(ORDERS.partner,))
    return NatsServerOptions(
        jetstream_domain="hub",
        accounts=(
            NatsAccount(name="org-a", users=(NatsUser(token="secret of A"),), exports=(*exports, topic)),  # noqa: S106
            NatsAccount(
                name="org-b", imports=(*imports, NatsImport(kind="stream", account="org-a", subject=ORDERS.subject))
            ),
            NatsAccount(name="org-c", users=(NatsUser(token="secret of C"),)),  # noqa: S106 - it has no contract
        ),
        leaf_listen=NatsLeafListen(users={"site-b": "org-b"}, passwords={"site-b": "secret of B"}),
    )


async def ask(runtime: NatsAgentRuntime, agent_type: str, text: str) -> str:
    """Ask an agent of B, which may stand for one of A."""
    try:
        answer: Answer = await runtime.send_message(Question(text=text), AgentId(agent_type, "default"), timeout=30)
    except AutoGenError as error:
        return str(error)
    return answer.text


async def ask_past_the_contract(client: Any, subject: str, data: bytes, patience_s: float = ANSWER_S) -> str:
    """Ask as somebody would who does not use our program."""
    try:
        reply: Msg = await client.request(subject, data, timeout=patience_s, headers={"id": "forged"})
    except NoRespondersError:
        return "nobody there"
    except NatsTimeoutError:
        return "no answer"
    return header(reply, "refused") or "answered"


async def join(server: NatsServer, security: NatsSecurity | None = None) -> Client:
    """Connect to a server without a runtime."""
    client = Client()
    await client.connect(server.url, **({} if security is None else security.connect_options()))
    return client


async def until_connected(client: Any) -> None:
    """Wait until the leaf node sees what A offers, and answers find their way back; two servers need a moment for that."""
    async with asyncio.timeout(20):
        while True:
            if "expired" in await ask_past_the_contract(client, FORMER.subject, b"{}", patience_s=0.5):
                return
            await asyncio.sleep(0.05)


async def run(hub: NatsServer, site: NatsServer) -> None:
    """Let the organisations work together."""
    a_security, c_security = NatsSecurity(token="secret of A"), NatsSecurity(token="secret of C")  # noqa: S106
    a, b, c = await join(hub, a_security), await join(site), await join(hub, c_security)
    a_runtime = NatsAgentRuntime(hub.url, namespace="org-a", security=a_security)
    b_runtime = NatsAgentRuntime(site.url, namespace="org-b")
    a_border, b_border = Border("org-a"), Border("org-b")
    orders: asyncio.Queue[OrderPlaced] = asyncio.Queue()
    await a_runtime.start()
    await b_runtime.start()
    try:
        await Helper.register(a_runtime, "helper", Helper)
        await OrderExport.register(a_runtime, "order-export", lambda: OrderExport(a, a_border))
        for contract in (HELPER, FORMER):
            await offer(contract, AgentId("helper", "default"), a, a_runtime, a_border)
        await Partner.register(b_runtime, "helper-of-a", lambda: Partner(HELPER, b, b_border))
        await Partner.register(b_runtime, "former-helper-of-a", lambda: Partner(FORMER, b, b_border))
        await Stock.register(b_runtime, "stock", lambda: Stock(orders.put_nowait))
        await receive(b, b_runtime, b_border)
        await until_connected(b)

        print("agent:", await ask(b_runtime, "helper-of-a", "Can you help"))
        await a_runtime.publish_message(OrderPlaced(number=7, pieces=3), TopicId("orders", "default"))
        print("topic:", await asyncio.wait_for(orders.get(), ANSWER_S))
        print("schema:", await ask_past_the_contract(b, HELPER.subject, b'{"text": "hi", "shell": "rm"}'))
        print("rate:", [await ask(b_runtime, "helper-of-a", "Again") for _ in range(2)][-1])
        print("expiry:", await ask(b_runtime, "former-helper-of-a", "Still there"))
        print("another agent of A:", await ask_past_the_contract(b, "contract.org-a.secret", b"{}"))
        print("an organisation without contract:", await ask_past_the_contract(c, HELPER.subject, b"{}"))
        for border in (a_border, b_border):
            for line in border.audit:
                print("audit", json.dumps(line))
    finally:
        await b_runtime.stop()
        await a_runtime.stop()
        for client in (a, b, c):
            await client.close()


async def main() -> None:
    """Start both servers, and end them."""
    async with NatsServer(hub_options()) as hub:
        leaf = NatsLeafRemote(url=hub.leaf_url, user="site-b", password="secret of B")  # noqa: S106
        async with NatsServer(NatsServerOptions(jetstream_domain="site-b", leaf_remotes=(leaf,))) as site:
            await run(hub, site)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
