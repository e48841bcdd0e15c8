"""Feed: what each step learns from, out of the loader's threads or from pictures that lie on the GPU already."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from components.faults import Fault
from components.shards.loader import Stream
from components.systems.system import Batch, Shape
from components.training.batches import INDEX, own, to_batch, training_stream
from components.training.group import Group
from components.training.run import Run

_SHARE = 0.25  # of a GPU's free memory that pictures may take
_BLOCK = 256  # samples that are brought to a GPU at once


class Feed:
    """A rank's training data.

    Where the decoded training split lies on the GPU (`train.cache`), a step brings along the places of its samples and
    their seeds, and all else happens there. Otherwise it brings its uint8 pictures, from page-locked memory.

    Raises:
        Fault: `train.cache` is device, and there is no GPU, or too little room on it.
    """

    def __init__(self, run: Run, shape: Shape, group: Group) -> None:
        self._stream = training_stream(run, group)
        self._shape, self._augment, self._group = shape, run.train.augment, group
        self._resident: dict[str, Tensor] = {}
        if _lies_on_device(run, shape, group, self._samples()):
            self._resident = self._brought()

    def inputs(self, first: int, last: int) -> Iterator[Mapping[str, Tensor]]:
        """What `prepare` makes the batches of steps first to last - 1 of, on the CPU."""
        steps = map(self._stream.places, range(first, last)) if self._resident else self._stream.batches(first, last)
        for inputs in steps:
            yield {name: torch.from_numpy(value) for name, value in inputs.items()}

    def prepare(self, inputs: Mapping[str, Tensor]) -> Batch:
        """The batch that phases see, of inputs on the device."""
        taken = {role: pictures[own(inputs, role, INDEX)] for role, pictures in self._resident.items()}
        return to_batch({**inputs, **taken}, self._shape, self._augment)

    def _samples(self) -> dict[str, int]:
        """How many there are to each role."""
        return {role: int(stream.samples.sizes.sum()) for role, (stream, _) in self._stream.streams.items()}

    def _brought(self) -> dict[str, Tensor]:
        """The pictures of the whole split on the GPU, (samples, ...) uint8 by role."""
        domains: dict[Stream, dict[str, str]] = {}
        for role, (stream, domain) in self._stream.streams.items():
            domains.setdefault(stream, {})[role] = domain
        brought: dict[str, Tensor] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for stream, roles in domains.items():
                count = int(stream.samples.sizes.sum())
                samples = pool.map(lambda i, stream=stream: stream.samples.read(i)[1], range(count))
                title = "train: pictures to the GPU"
                with tqdm(total=count, desc=title, unit="sample", disable=not self._group.leads) as bar:
                    for start in range(0, count, _BLOCK):
                        block = [next(samples) for _ in range(min(_BLOCK, count - start))]
                        for role, domain in roles.items():
                            part = torch.from_numpy(np.stack([sample[domain] for sample in block]))
                            if role not in brought:
                                place = torch.empty((count, *part.shape[1:]), dtype=torch.uint8)
                                brought[role] = place.to(self._group.device)
                            brought[role][start : start + len(part)] = part.to(self._group.device)
                        self._group.alive()
                        bar.update(len(block))
        return brought


def _lies_on_device(run: Run, shape: Shape, group: Group, samples: Mapping[str, int]) -> bool:
    asked = run.train.cache
    if asked == "host" or (group.device.type != "cuda" and asked == "auto"):
        return False
    if group.device.type != "cuda":
        raise Fault("train.cache: device keeps the pictures on a GPU, and this rank has none; set auto or host")
    needed = sum(samples[role] * int(np.prod(domain.shape)) for role, domain in shape.roles.items())
    free, _ = torch.cuda.mem_get_info(group.device)
    if needed <= _SHARE * free:
        # Each is decoded once either way, if the run is to see it at all.
        return asked == "device" or run.num_steps() * run.train.batch_size >= max(samples.values())
    if asked == "device":
        raise Fault(
            f"train.cache: the training pictures take {needed / 2**30:.1f} GiB, more than a quarter of the "
            f"{free / 2**30:.1f} GiB that the GPU has free; set host"
        )
    return False
