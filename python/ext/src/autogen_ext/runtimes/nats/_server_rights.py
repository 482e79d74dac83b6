"""Rights as a NATS server understands them: lists of subjects that a user may publish and subscribe to.

Stands on the runtime's subjects; knows no server.
"""

from ._server_config import NatsRights
from ._subjects import token

__all__ = ["permissions"]

_TIMERS = token("$timers")
"""The pool of messages that are sent later."""

_OF_CONSUMERS = ("CREATE", "DURABLE.CREATE", "INFO", "DELETE", "MSG.NEXT", "PAUSE", "RESET", "UNPIN")
"""What a worker may ask about the consumers of a stream of its own, in `$JS.API.CONSUMER.<this>.<stream>.<consumer>`."""


def permissions(rights: NatsRights | None, inbox: str) -> dict[str, object] | None:
    """Return the `permissions` of a user in the server's configuration; None if everything is permitted.

    Args:
        rights: What the user may do.
        inbox: The prefix of the subjects where only this user hears answers.
    """
    if rights is None:
        return None
    lines = _Lines(rights)
    publish = {*lines.everybody(), *lines.hosting(), *lines.calling(), *lines.publishing(), *rights.also_publish}
    subscribe = {f"{inbox}.>", *lines.heard(), *rights.also_subscribe}
    return {"publish": {"allow": sorted(publish)}, "subscribe": {"allow": sorted(subscribe)}}


class _Lines:
    """The subjects that some rights come down to, in groups; `*` stands for all agent types, topics or pools."""

    def __init__(self, rights: NatsRights) -> None:
        self._rights = rights
        self._ns = token(rights.namespace)
        self._types = [_name(one) for one in rights.register]
        self._pools = {self._pool(one) for one in rights.register}
        if rights.timers:
            self._pools.add(_TIMERS)

    def heard(self) -> list[str]:
        """What a worker subscribes to."""
        ns = self._ns
        return [
            f"{ns}.all",
            f"{ns}.in.>",
            f"{ns}.w.*",
            *(f"{ns}.live.{bucket}.>" for bucket in self._shared()),
            *(f"{ns}.sl.{name}" for name in self._types),
            *(f"{ns}.x.{pool}" for pool in self._pools),
        ]

    def everybody(self) -> list[str]:
        """Answers, membership, dead letters, and reading the directory; making what a system needs, if it is missing."""
        ns = self._ns
        streams = [f"KV_{bucket}" for bucket in self._shared()]
        return [
            "_INBOX.>",
            f"{ns}.all",
            f"{ns}.in.>",
            f"{ns}.w.*",
            f"{ns}.dead.>",
            f"$KV.{ns}_LEASE.*",
            "$JS.API.INFO",
            *(f"$JS.API.STREAM.{verb}.{one}" for verb in ("CREATE", "INFO") for one in (*streams, f"{ns}_DEAD")),
            *(f"$JS.API.STREAM.{verb}.KV_{ns}_STATE" for verb in ("CREATE", "INFO")),
            *(f"$JS.API.{verb}.{one}" for verb in ("STREAM.MSG.GET", "DIRECT.GET") for one in streams),
            *(f"$JS.API.DIRECT.GET.{one}.>" for one in streams),
            *(line for one in streams for line in _consumers(one)),
        ]

    def hosting(self) -> list[str]:
        """What it takes to host agent types: their entries, subscriptions, mailboxes and states."""
        ns = self._ns
        lines: list[str] = []
        for pool in self._pools:
            stream = "*" if pool == "*" else f"{ns}_MB_{pool}"
            lines += [
                f"$KV.{ns}_DIR.p.{pool}",
                f"{ns}.x.{pool}",
                f"{ns}.mb.{pool}.*.d",  # to wake its own partitions
                *(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "INFO", "UPDATE", "MSG.DELETE")),
                *_consumers(stream),
            ]
        if self._rights.timers:
            lines += [f"{ns}.mb.{_TIMERS}.at.*", f"$JS.API.STREAM.PURGE.{ns}_MB_{_TIMERS}"]
        for name in self._types:
            lines += [f"$KV.{ns}_DIR.t.{name}", f"$KV.{ns}_DIR.i.{name}.*", f"$KV.{ns}_STATE.{name}.>"]
            lines += [f"$KV.{ns}_DIR.s.*.{topic}.{name}" for topic in self._topics(name)]
        if self._types:
            lines += [f"$JS.API.STREAM.MSG.GET.KV_{ns}_STATE", f"$JS.API.DIRECT.GET.KV_{ns}_STATE.>"]
        return lines

    def calling(self) -> list[str]:
        ns = self._ns
        lines: list[str] = []
        for one in self._rights.call:
            pool = self._pool(one)
            stream = "*" if pool == "*" else f"{ns}_MB_{pool}"
            lines += [f"{ns}.mb.{pool}.*.d", f"{ns}.sl.{_name(one)}", f"{ns}.x.{pool}", f"$JS.API.STREAM.INFO.{stream}"]
        return lines

    def publishing(self) -> list[str]:
        return [f"{self._ns}.mb.*.*.e", "$JS.API.STREAM.INFO.*"] if self._rights.publish else []

    def _topics(self, name: str) -> list[str]:
        """Which topics an agent type may hear, as tokens; patterns are more than the server can compare."""
        patterns = self._rights.subscribe
        if name == "*" or any(set(one) & set("*?[") for one in patterns):
            return ["*"]
        # The direct topic comes with the type, whatever the rights say.
        return [*(token(one) for one in patterns), f"{name}{token(':')}"]

    def _shared(self) -> tuple[str, str]:
        return (f"{self._ns}_DIR", f"{self._ns}_LEASE")

    def _pool(self, agent_type: str) -> str:
        return "*" if agent_type == "*" else token(self._rights.pools.get(agent_type, agent_type))


def _name(agent_type: str) -> str:
    return "*" if agent_type == "*" else token(agent_type)


def _consumers(stream: str) -> list[str]:
    """Read a stream: make consumers, ask them for messages, acknowledge these."""
    return [
        *(f"$JS.API.CONSUMER.{verb}.{stream}.>" for verb in _OF_CONSUMERS),
        *(f"$JS.API.CONSUMER.{verb}.{stream}" for verb in ("CREATE", "LIST", "NAMES")),
        f"$JS.FC.{stream}.>",
        f"$JS.ACK.{stream}.>",
        f"$JS.ACK.*.*.{stream}.>",  # as servers write it once they name their domain and account
    ]
