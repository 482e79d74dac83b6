"""An agent of your own: a class with a handler for each type of message it understands."""

import asyncio
from dataclasses import dataclass

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler


@dataclass
class Order:
    """What a customer asks for."""

    dish: str


@dataclass
class Bill:
    """What the waiter answers."""

    dish: str
    number: int


class Waiter(RoutedAgent):
    """Takes orders and numbers them: each agent keeps its own state."""

    def __init__(self) -> None:
        super().__init__("Takes orders.")
        self._orders = 0

    @message_handler
    async def on_order(self, message: Order, ctx: MessageContext) -> Bill:
        """Answer an order with a bill."""
        self._orders += 1
        print(f"{self.id} serves {message.dish} to {ctx.sender or 'a guest'}")
        return Bill(message.dish, self._orders)


async def main() -> None:
    """Register the agent type, and send two messages to one agent of it and one to another."""
    runtime = SingleThreadedAgentRuntime()
    await Waiter.register(runtime, "waiter", Waiter)
    runtime.start()
    for table, dish in (("table-1", "soup"), ("table-1", "cake"), ("table-2", "soup")):
        print(await runtime.send_message(Order(dish), AgentId("waiter", table)))
    await runtime.stop_when_idle()
    await runtime.close()


if __name__ == "__main__":
    asyncio.run(main())
