"""Files that are not what they should be, and whether they are refused."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from components.faults import Fault

PROMISE = pytest.mark.promise(
    "15 model files with a payload, another's or swapped: nothing run, refused by name and hash"
)
QUIET = pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning", "ignore:.*TorchScript archive")


class Payload:
    """Runs a command where it is unpickled: here it leaves a folder behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def payloads(mark: Path) -> Iterator[tuple[str, bytes]]:
    """Pickles that leave `mark` when they are run, in every container that weights come in."""
    state = {"weight": torch.zeros(3)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield f"a pickle of protocol {protocol}", pickle.dumps(Payload(mark), protocol)
    for legacy in (False, True):
        for name, thing in (("alone", Payload(mark)), ("beside tensors", state | {"more": Payload(mark)})):
            file = io.BytesIO()
            torch.save(thing, file, _use_new_zipfile_serialization=not legacy)
            yield f"torch {name}, {'legacy' if legacy else 'zip'}", file.getvalue()
    script = io.BytesIO()
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(mark), 2))
        archive.writestr("archive/constants.pkl", pickle.dumps(Payload(mark), 2))
        archive.writestr("archive/version", "3\n")
    yield "TorchScript's layout", script.getvalue()
    arrays = io.BytesIO()
    np.save(arrays, np.array([Payload(mark)], dtype=object), allow_pickle=True)
    yield "numpy's objects", arrays.getvalue()
    yield "a pickle behind tensors", save(state) + pickle.dumps(Payload(mark))


def wrong(good: dict[str, torch.Tensor]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """State dicts that are nearly the good one."""
    name = next(key for key, value in good.items() if value.dim() == 4)
    value = good[name]
    yield "a name missing", {key: value for key, value in good.items() if key != name}
    yield "a name too many", good | {"more.weight": torch.zeros(1)}
    yield "a name misspelt", {key.replace(name, f"{name}s"): value for key, value in good.items()}
    yield "a channel too many", good | {name: torch.cat([value, value[:1]])}
    yield "a transposed kernel", good | {name: value.reshape(value.shape[::-1]).contiguous()}
    yield "one dimension less", good | {name: value.flatten(2).contiguous()}
    yield "no elements", good | {name: value[:0]}
    yield "float64", good | {name: value.double()}
    yield "bfloat16", good | {name: value.bfloat16()}
    yield "int64", good | {name: value.long()}
    for number in (torch.nan, torch.inf, -torch.inf):
        broken = value.clone()
        broken.view(-1)[-1] = number
        yield f"{number} in it", good | {name: broken}
    yield "nothing", {}


def refused(read: Callable[[], object], *said: str) -> bool:
    """Whether reading ends in a Fault of one line that says these things; another error goes through."""
    try:
        read()
    except Fault as fault:
        line = str(fault)
        return "\n" not in line and all(text in line for text in said)
    return False


def damaged(data: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """A file with single bits turned, cut off, with bytes put in, or with a piece of itself elsewhere."""
    random = np.random.default_rng(seed)
    header = min(len(data), 2048)  # where a file says what it holds
    for number in range(count):
        copy, at = bytearray(data), int(random.integers(header if number % 2 else len(data)))
        match number % 4:
            case 0 | 1:
                copy[at] ^= 1 << int(random.integers(8))
            case 2:
                del copy[at:]
            case 3:
                copy[at:at] = random.bytes(int(random.integers(1, 9)))
        yield f"damage {number} at byte {at}", bytes(copy)
