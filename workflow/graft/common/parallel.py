"""The cores that a stage was given, and work in other processes or threads to fill them."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Starting other processes costs about a second, so the first second of work is done without.
_PATIENCE = 1.0
# What is handed over at once: small enough to keep memory flat, and worth the way there and back.
_ITEMS, _WEIGHT = 64, 2**22


def count_cores() -> int:
    """How many cores this stage may use."""
    # Snakemake says in this variable how many threads the rule was given.
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return count_all_cores()


def count_all_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_parallel(
    work: Callable[[_Item], _Result], items: Iterable[_Item], weigh: Callable[[_Item], int]
) -> Iterator[_Result]:
    """The result of `work` for each item, in their order, on all cores that the stage was given.

    Args:
        work: a function of a module, or a `partial` of one: other processes import it.
        items: taken one by one, by this process, never many ahead of the results.
        weigh: how heavy an item is, in bytes.

    Raises:
        whatever `items` or `work` raises.
    """
    items = iter(items)
    count, start = count_cores(), time.monotonic()
    for item in items:
        yield work(item)
        if count > 1 and time.monotonic() - start > _PATIENCE:
            break
    else:
        return
    # The work is long, and worth the start of a pool, and its import.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    waiting: deque[Iterator[_Result]] = deque()
    context = multiprocessing.get_context("spawn")
    # Ctrl-C is left to this process.
    ignored = signal.SIGINT, signal.SIG_IGN
    with ProcessPoolExecutor(count, context, signal.signal, ignored) as pool:
        try:
            for chunk in _chunks(items, weigh):
                waiting.append(pool.map(work, chunk, chunksize=_ITEMS))
                if len(waiting) > 2 * count:
                    yield from waiting.popleft()
            while waiting:
                yield from waiting.popleft()
        except BaseException:
            # What is still in work, or waits, would be waited for.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """The result of `work` for each item, in their order, by a thread for each core.

    It suits work with large arrays, for which NumPy lets go of Python's lock, and costs no start.

    Args:
        work: does not change what other items need.
        items: taken one by one, by this thread, never many ahead of the results.

    Raises:
        whatever `items` or `work` raises.
    """
    count = count_cores()
    if count == 1:
        yield from map(work, items)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _chunks(items: Iterable[_Item], weigh: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    chunk, weight = list[_Item](), 0
    for item in items:
        chunk.append(item)
        weight += weigh(item)
        if len(chunk) == _ITEMS or weight > _WEIGHT:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk
