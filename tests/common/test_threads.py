"""Work in threads gives what it gives without."""

import threading
import time
from collections.abc import Iterator

import pytest

from graft.common.parallel import in_threads


@pytest.mark.parametrize("cores", ["1", "3"])
def test_results_come_in_the_order_of_the_items(
    monkeypatch: pytest.MonkeyPatch, cores: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    taken, names = [], set()

    def items() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.002 * (number % 3))
        return number**2

    for place, result in enumerate(in_threads(work, items())):
        assert result == place**2
        assert len(taken) <= place + 1 + 2 * int(cores)  # never many ahead
    assert len(taken) == 40 and len(names) == int(cores)


@pytest.mark.parametrize("cores", ["1", "3"])
def test_an_error_is_that_of_the_work(monkeypatch: pytest.MonkeyPatch, cores: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    done = []

    def work(number: int) -> None:
        if number == 5:
            raise ValueError("five")
        done.append(number)

    with pytest.raises(ValueError, match="five"):
        list(in_threads(work, range(10_000)))
    assert len(done) < 100
