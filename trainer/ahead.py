"""Work done ahead of its use, in a thread beside the one that trains."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

DEPTH = 2
"""How many results lie ready at most."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def made_ahead(make: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `make(item)` of each item in order; while one is used, the next are made.

    The thread beside computes with one of torch's threads. Many small operations gain nothing from more, and
    on a machine with other work they lose nearly everything at the barriers between them.
    """
    threads = torch.get_num_threads()
    upcoming = iter(items)
    with ThreadPoolExecutor(1, initializer=_compute_alone) as beside:
        beside.submit(int).result()
        # The number is also that of threads to come; those of this one stay as they are.
        torch.set_num_threads(threads)
        waiting = deque(beside.submit(make, item) for item in islice(upcoming, DEPTH))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(beside.submit(make, item) for item in islice(upcoming, 1))
            yield result


def _compute_alone() -> None:
    torch.set_num_threads(1)
    # A thread's first look takes the number of the process over: it has to be now.
    torch.get_num_threads()
