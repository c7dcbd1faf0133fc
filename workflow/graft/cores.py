"""The cores that a stage was given, and how it fills them with work that Python cannot thread."""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting other processes costs about a second, so the first second of work is done without.
PATIENCE = 1.0
# What is handed over at once: small enough to keep memory flat, and worth the way there and back.
ITEMS, WEIGHT = 64, 2**22


def cores() -> int:
    """How many cores this stage may use."""
    # Snakemake says in this variable how many threads the rule was given.
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_parallel(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    weigh: Callable[[Item], int],
) -> Iterator[Result]:
    """The result of `work` for each item, in their order, on all cores that the stage was given.

    Args:
        work: a function of a module, or a `partial` of one: other processes import it.
        items: taken one by one, by this process, never many ahead of the results.
        weigh: how heavy an item is, in bytes.

    Raises:
        whatever `items` or `work` raises.
    """
    items = iter(items)
    count, start = cores(), time.monotonic()
    for item in items:
        yield work(item)
        if count > 1 and time.monotonic() - start > PATIENCE:
            break
    # Nothing is left unless the work is long; what the pool does is then worth its start.
    waiting: deque[Future[list[Result]]] = deque()
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        for chunk in _chunks(items, weigh):
            waiting.append(pool.submit(_each, work, chunk))
            if len(waiting) > 2 * count:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _each(work: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [work(item) for item in items]


def _chunks(items: Iterable[Item], weigh: Callable[[Item], int]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    weight = 0
    for item in items:
        chunk.append(item)
        weight += weigh(item)
        if len(chunk) == ITEMS or weight > WEIGHT:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk
