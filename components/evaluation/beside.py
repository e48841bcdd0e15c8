"""Computing on the available device, and reading at the same time."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from torch import Tensor

from components.networks.tensors import compute_device

T = TypeVar("T")
_AHEAD = 2  # items that are ready before they are asked for


def to_compute(values: Tensor) -> Tensor:
    """float64 on the device that computes: distances between sets are differences of large numbers."""
    return values.to(compute_device()).double()


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """The items in their order, made by a thread while the last ones are computed with."""
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = deque(pool.submit(next, source, end) for _ in range(_AHEAD))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, source, end))
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()
