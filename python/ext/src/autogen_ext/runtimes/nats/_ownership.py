"""Which partitions this worker has: as many as its share among the workers alive, taken and handed over as these come and go.

Stands on the registry and the pullers.
"""

import asyncio
from collections.abc import Callable
from hashlib import blake2b

from ._lease import Lease
from ._link import logger
from ._puller import Puller
from ._registry import Registry
from ._residents import Residents

_SETTLE_S = 0.05
"""For how long changes are collected before they are acted on."""


def share_out(pool: str, partitions: int, workers: list[str]) -> list[str]:
    """Return the worker of each partition: shares differ by one at most, and few partitions move when workers change.

    Each partition goes to the worker that ranks highest for it (rendezvous hashing, Thaler and Ravishankar 1998) among those
    whose share is not full.
    """
    if not workers:
        return []
    least, more = divmod(partitions, len(workers))
    had = dict.fromkeys(workers, 0)
    owners: list[str] = []
    for partition in range(partitions):
        open_to = [worker for worker in workers if had[worker] < least or (had[worker] == least and more > 0)]
        best = max(open_to, key=lambda worker: _rank(pool, partition, worker))
        if had[best] == least:
            more -= 1
        had[best] += 1
        owners.append(best)
    return owners


def _rank(pool: str, partition: int, worker: str) -> bytes:
    return blake2b(f"{pool}\0{partition}\0{worker}".encode(), digest_size=8).digest()


class Ownership:
    """The partitions of this worker.

    Args:
        registry, residents, lease: Who is alive; whose agents are here; whether this worker is.
        make: Returns a reader of a partition of a pool.
        worker: This worker's id.
        drain_s: How long handlers may take when a partition is handed over.
    """

    def __init__(
        self,
        registry: Registry,
        residents: Residents,
        lease: Lease,
        make: Callable[[str, int], Puller],
        worker: str,
        drain_s: float,
    ) -> None:
        self._registry = registry
        self._residents = residents
        self._lease = lease
        self._make = make
        self._worker = worker
        self._drain_s = drain_s
        self.pools: set[str] = set()
        self._pullers: dict[tuple[str, int], Puller] = {}
        self._leaving: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._owners: dict[tuple[str, int], str] = {}
        self._fenced = False

    def start(self) -> None:
        """Begin to take partitions."""
        self._task = asyncio.create_task(self._follow(), name="partitions")

    def changed(self) -> None:
        """Look anew who has what."""
        self._news.set()

    def again(self) -> None:
        """Ask for messages anew, after a broken connection."""
        for puller in self._pullers.values():
            puller.again()

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_SETTLE_S)
            self._news.clear()
            try:
                await self._settle()
            except Exception:
                logger.exception("the partitions of this worker cannot be settled; trying again")
                self._news.set()

    async def _settle(self) -> None:
        if not self._lease.valid:
            return
        self._fenced = False
        wanted = set[tuple[str, int]]()
        for pool in sorted(self.pools):
            workers = self._registry.workers_of(pool)
            for partition, owner in enumerate(share_out(pool, self._registry.partitions(pool), workers)):
                place = pool, partition
                before = self._owners.get(place)
                self._owners[place] = owner
                if owner == self._worker:
                    wanted.add(place)
                    self._take(place, before)
        for place in [place for place in self._pullers if place not in wanted and place not in self._leaving]:
            task = asyncio.create_task(self._hand_over(place), name=f"handing over {place[0]} {place[1]}")
            self._leaving[place] = task

    def _take(self, place: tuple[str, int], before: str | None) -> None:
        if place in self._pullers:
            return
        puller = self._pullers[place] = self._make(*place)
        dead = before is not None and before != self._worker and before not in self._registry.members
        puller.start(take_over=dead)

    async def _hand_over(self, place: tuple[str, int]) -> None:
        """Let another worker have a partition: take nothing more, finish what has come, release it."""
        puller = self._pullers[place]
        try:
            puller.close()
            await self._residents.drain(puller, self._drain_s)
            await puller.stop()
            await puller.release()
        except Exception:
            logger.exception("partition %s of %s was not handed over in order", place[1], place[0])
        finally:
            del self._leaving[place]
            self._pullers.pop(place, None)
            self._news.set()  # it may have come back meanwhile

    async def check(self) -> None:
        """Give up everything at once if this worker no longer counts as alive; take it again when it does."""
        if self._lease.valid:
            if self._fenced:
                self._news.set()
            return
        if not self._fenced:
            self._fenced = True
            await self._fence()
        self._lease.resume()

    async def _fence(self) -> None:
        if self._pullers:
            logger.warning("this worker gave no sign of life in time; it leaves its agents to others")
        pullers, self._pullers = list(self._pullers.values()), {}
        self._owners.clear()
        leaving = list(self._leaving.values())
        for task in leaving:
            task.cancel()
        for puller in pullers:
            puller.lose()
        await asyncio.gather(*(puller.stop() for puller in pullers))
        await asyncio.gather(*(self._residents.abandon(puller) for puller in pullers))
        if leaving:
            await asyncio.wait(leaving)

    async def stop(self) -> None:
        """Hand everything over."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for place in list(self._pullers):
            if place not in self._leaving:
                self._leaving[place] = asyncio.create_task(self._hand_over(place))
        leaving = list(self._leaving.values())
        if leaving:
            await asyncio.wait(leaving)
