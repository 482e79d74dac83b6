"""Publishing: who hears what, once, in order, and not by its own sender."""

import asyncio
import logging

import pytest

from autogen_core import (
    AgentId,
    DefaultSubscription,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
    default_subscription,
    message_handler,
    type_subscription,
)

from .core_agents import DOER, Amount, Order, doers
from .runtimes import World, until

NEWS = TopicId("news", "a")


async def test_an_event_reaches_every_subscriber_once_wherever_it_lives(world: World) -> None:
    third = await world.worker()
    all_notes = {name: await doers(world, name, here=name == "near") for name in ("near", "far", "beside")}
    for name in all_notes:
        at = {"near": world.runtime, "far": world.agents, "beside": world.agents}[name]
        await at.add_subscription(TypeSubscription("news", name))
    for worker, text in ((world.runtime, "first"), (third, "second"), (world.agents, "third")):
        await worker.publish_message(Order(text), NEWS)
    expected = [("a", text) for text in ("first", "second", "third")]
    await until(lambda: all(len(notes.heard) >= 3 for notes in all_notes.values()))
    assert {name: sorted(notes.heard) for name, notes in all_notes.items()} == dict.fromkeys(all_notes, expected)


async def test_a_handler_of_an_event_sees_topic_sender_and_id(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    sender = AgentId("me", "1")
    await world.runtime.publish_message(Order("x"), NEWS, sender=sender, message_id="my own id")
    await world.runtime.publish_message(Order("y"), NEWS)
    await until(lambda: len(notes.contexts) == 2)
    context = notes.contexts[0]
    assert (context.sender, context.topic_id, context.is_rpc, context.message_id) == (sender, NEWS, False, "my own id")
    assert notes.contexts[1].sender is None
    assert notes.contexts[1].message_id not in {"", "my own id"}


async def test_events_of_one_publisher_are_begun_in_their_order(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    texts = [str(number) for number in range(300)]
    for text in texts:
        await world.runtime.publish_message(Order(text), NEWS)
    await until(lambda: len(notes.heard) == len(texts))
    assert notes.texts() == texts


async def test_order_holds_for_each_source_at_a_time(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    keys, texts = [f"k{number}" for number in range(10)], [str(number) for number in range(20)]
    for text in texts:
        for key in keys:
            await world.runtime.publish_message(Order(text), TopicId("news", key))
    await until(lambda: len(notes.heard) == 200)
    assert {key: notes.texts(key) for key in keys} == dict.fromkeys(keys, texts)


async def test_requests_that_wait_for_events_keep_their_order(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    texts: list[str] = []
    calls: list[asyncio.Task[object]] = []
    for number in range(30):
        texts += [f"event {number}", f"request {number}"]
        await world.runtime.publish_message(Order(f"event {number}"), TopicId("news", "a"))
        calls.append(asyncio.create_task(world.runtime.send_message(Order(f"request {number}"), DOER)))
        await asyncio.sleep(0 if number % 3 else 0.001)
    await asyncio.gather(*calls)
    assert notes.texts() == texts


async def test_a_request_does_not_overtake_events_that_went_to_the_same_agent_before_it(world: World) -> None:
    """Order is that of the sender, whether it sends or publishes."""
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    for number in range(3):
        await world.runtime.publish_message(Order(f"published {number}"), NEWS)
    await world.runtime.send_message(Order("sent"), DOER)
    await until(lambda: len(notes.heard) == 4)
    assert notes.texts() == ["published 0", "published 1", "published 2", "sent"]


async def test_the_sender_does_not_hear_its_own_event_and_others_of_its_type_do(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.runtime.publish_message(Order("mine"), NEWS, sender=DOER)
    await world.runtime.publish_message(Order("mine"), TopicId("news", "b"), sender=DOER)
    await world.runtime.publish_message(Order("last"), NEWS, sender=AgentId("doer", "b"))
    await until(lambda: ("a", "last") in notes.heard and ("b", "mine") in notes.heard)
    assert sorted(notes.heard) == [("a", "last"), ("b", "mine")]


async def test_what_a_handler_publishes_is_not_heard_by_its_own_agent(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    beside = await doers(world, "beside", here=True)
    await world.runtime.add_subscription(TypeSubscription("news", "beside"))
    await world.runtime.send_message(Order("go", publish="news/a"), DOER)
    await until(lambda: beside.texts() == ["published"])
    await world.runtime.publish_message(Order("last"), NEWS)
    await until(lambda: "last" in notes.texts())
    assert notes.texts() == ["go", "last"]


async def test_handlers_may_publish_to_one_another(world: World) -> None:
    notes = await doers(world)
    other = await doers(world, "other", here=True)
    await world.agents.add_subscription(TypeSubscription("to-doer", "doer"))
    await world.runtime.add_subscription(TypeSubscription("to-other", "other"))
    back = Order("there", publish="to-doer/a", then=Order("and back"))
    await world.runtime.publish_message(Order("go", publish="to-other/a", then=back), TopicId("to-doer", "a"))
    await until(lambda: notes.texts() == ["go", "and back"])
    assert other.texts() == ["there"]
    assert [context.sender for context in other.contexts] == [DOER]


# Subscriptions


async def test_the_source_of_a_topic_is_the_key_of_who_hears_it(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    sources = ["a", "é☃", "two words", "a.b", "*", ">", "line\nbreak", "a/b", "$x", " "]
    for source in sources:
        await world.runtime.publish_message(Order(source), TopicId("news", source))
    await until(lambda: len(notes.heard) == len(sources))
    assert sorted(notes.heard) == sorted((source, source) for source in sources)


async def test_a_topic_may_have_an_empty_source(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.runtime.publish_message(Order("x"), TopicId("news", ""))
    await until(lambda: notes.heard == [("", "x")])


@pytest.mark.parametrize("topic_type", ["a.b", "a-b", "a_b", "a:b", "a=b", "A1"])
async def test_a_topic_type_is_matched_exactly(world: World, topic_type: str) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription(topic_type, "doer"))
    for other in (f"{topic_type}x", topic_type[:-1], topic_type.swapcase()):
        await world.runtime.publish_message(Order(other), TopicId(other, "k"))
    await world.runtime.publish_message(Order("exact"), TopicId(topic_type, "k"))
    await until(lambda: "exact" in notes.texts())
    assert notes.texts() == ["exact"]


async def test_a_prefix_subscription_hears_topics_that_begin_with_it(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypePrefixSubscription("news.", "doer"))
    for topic_type in ("new", "news", "xnews.", "news.", "news.eu", "news.eu.fr"):
        await world.runtime.publish_message(Order(topic_type), TopicId(topic_type, "k"))
    await until(lambda: "news.eu.fr" in notes.texts())
    assert notes.texts() == ["news.", "news.eu", "news.eu.fr"]


async def test_a_prefix_need_not_end_at_a_dot(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypePrefixSubscription("ne", "doer"))
    for topic_type in ("n", "ne", "news.eu", "net"):
        await world.runtime.publish_message(Order(topic_type), TopicId(topic_type, "k"))
    await until(lambda: "net" in notes.texts())
    assert notes.texts() == ["ne", "news.eu", "net"]


async def test_the_default_subscription_hears_the_default_topic(world: World) -> None:
    heard: list[str] = []

    @default_subscription
    class Listener(RoutedAgent):
        @message_handler
        async def hear(self, message: Order, ctx: MessageContext) -> None:
            heard.append(f"{self.id.key} {message.text}")

    world.knows(Order)
    await Listener.register(world.agents, "listener", lambda: Listener("listens"))
    notes = await doers(world)
    await world.agents.add_subscription(DefaultSubscription(agent_type="doer"))
    await world.runtime.publish_message(Order("x"), DefaultTopicId())
    await world.runtime.publish_message(Order("y"), DefaultTopicId(source="z"))
    await until(lambda: sorted(heard) == ["default x", "z y"] and sorted(notes.heard) == [("default", "x"), ("z", "y")])


async def test_the_default_topic_within_a_handler_has_the_key_of_its_agent(world: World) -> None:
    class Relay(RoutedAgent):
        @message_handler
        async def relay(self, message: Amount, ctx: MessageContext) -> None:
            await asyncio.sleep(0)
            await self.publish_message(Order(str(message.number)), DefaultTopicId())

    world.knows(Amount)
    await Relay.register(world.agents, "relay", lambda: Relay("relays"))
    notes = await doers(world, here=True)
    await world.runtime.add_subscription(TypeSubscription("default", "doer"))
    await asyncio.gather(*(world.runtime.send_message(Amount(1), AgentId("relay", key)) for key in "xyz"))
    await until(lambda: sorted(notes.heard) == [("x", "1"), ("y", "1"), ("z", "1")])


async def test_a_class_brings_its_subscriptions_along(world: World) -> None:
    heard: list[int] = []

    @type_subscription("amounts")
    @type_subscription("numbers")
    class Listener(RoutedAgent):
        @message_handler
        async def hear(self, message: Amount, ctx: MessageContext) -> None:
            heard.append(message.number)

    world.knows(Amount)
    await Listener.register(world.agents, "listener", lambda: Listener("listens"))
    await world.runtime.publish_message(Amount(1), TopicId("amounts", "k"))
    await world.runtime.publish_message(Amount(2), TopicId("numbers", "k"))
    await until(lambda: heard == [1, 2])


async def test_every_type_hears_the_topic_of_its_own_name_and_a_colon(world: World) -> None:
    notes = await doers(world)
    await doers(world, "other")
    await world.runtime.publish_message(Order("x"), TopicId("doer:", "k"))
    await world.runtime.publish_message(Order("y"), TopicId("doer:more", "k"))
    await until(lambda: notes.heard == [("k", "x"), ("k", "y")])


async def test_a_subscription_that_exists_is_refused_and_one_that_is_removed_hears_nothing_more(world: World) -> None:
    notes = await doers(world)
    subscription = TypeSubscription("news", "doer")
    await world.agents.add_subscription(subscription)
    with pytest.raises(ValueError, match="already exists"):
        await world.agents.add_subscription(TypeSubscription("news", "doer"))
    await world.agents.add_subscription(TypeSubscription("end", "doer"))
    await world.runtime.publish_message(Order("heard"), NEWS)
    await until(lambda: notes.texts() == ["heard"])
    await world.agents.remove_subscription(subscription.id)
    with pytest.raises(ValueError, match="does not exist"):
        await world.agents.remove_subscription(subscription.id)
    await world.runtime.publish_message(Order("not heard"), NEWS)
    await world.runtime.publish_message(Order("last"), TopicId("end", "a"))
    await until(lambda: "last" in notes.texts())
    assert notes.texts() == ["heard", "last"]


async def test_a_subscription_that_was_removed_may_be_added_again(world: World) -> None:
    notes = await doers(world)
    for text in ("first", "second"):
        subscription = TypeSubscription("news", "doer")
        await world.agents.add_subscription(subscription)
        await world.runtime.publish_message(Order(text), NEWS)
        await until(lambda text=text: text in notes.texts())
        await world.agents.remove_subscription(subscription.id)
    assert notes.texts() == ["first", "second"]


async def test_a_subscription_counts_from_the_next_message_on(world: World) -> None:
    notes = await doers(world)
    for number in range(20):
        await world.agents.add_subscription(TypeSubscription(f"news{number}", "doer"))
        await world.runtime.publish_message(Order(str(number)), TopicId(f"news{number}", "a"))
    await until(lambda: len(notes.heard) == 20)


# Failures


async def test_an_event_that_nobody_hears_is_no_error(world: World) -> None:
    await doers(world)
    await world.runtime.publish_message(Order("x"), TopicId("nobody", "s"))
    assert (await world.runtime.send_message(Order("goes on"), DOER)).text == "goes on"


@pytest.mark.parametrize("sleep", [0, 0.01])
async def test_a_failing_event_handler_is_logged_and_disturbs_no_neighbour(
    world: World, sleep: float, caplog: pytest.LogCaptureFixture
) -> None:
    notes = {name: await doers(world, name) for name in ("bad", "good")}
    for name in notes:
        await world.agents.add_subscription(TypeSubscription("news", name))
    await world.agents.add_subscription(TypeSubscription("only-bad", "bad"))
    await world.runtime.publish_message(Order("fails", fail="key", sleep=sleep), TopicId("only-bad", "a"))
    await world.runtime.publish_message(Order("next"), NEWS)
    await until(lambda: notes["good"].texts() == ["next"] and notes["bad"].texts() == ["fails", "next"])
    await until(lambda: any(record.levelno == logging.ERROR for record in caplog.records))
    (error, *_) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.name.startswith("autogen_core")
    assert error.exc_info is not None
    assert isinstance(error.exc_info[1], KeyError)


async def test_publishing_does_not_wait_for_the_handlers(world: World) -> None:
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    async with asyncio.timeout(5):
        await world.runtime.publish_message(Order("slow", sleep=0.3), NEWS)
        await until(lambda: notes.texts() == ["slow"])
    assert notes.ended == []
    await until(lambda: notes.ended == ["slow"])


async def test_handlers_of_events_run_concurrently(world: World) -> None:
    """The first could not be under way when the last begins, were it not so."""
    notes = await doers(world)
    await world.agents.add_subscription(TypeSubscription("news", "doer"))
    for number in range(10):
        await world.runtime.publish_message(Order(str(number), sleep=0.5), NEWS)
    await until(lambda: len(notes.heard) == 10)
    assert notes.ended == []
    await until(lambda: len(notes.ended) == 10)
