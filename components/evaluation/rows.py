"""The rows of the table of metrics: the model, and other pictures that give its values meaning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from components.faults import Fault
from components.samples.domain import Domain, enlargement
from components.samples.task import Task
from components.shards.reader import Split
from components.tasks.degrade import enlarged

Picture = NDArray[np.uint8]
_PAINTER_SAMPLES = 4096


@dataclass(frozen=True)
class Row:
    """A list of pictures and what is asked of them.

    Attributes:
        domain: of what `read` returns.
        read: picture i, where i counts the translated samples (the true ones for the row of real pictures, the
            chosen train samples for the floor).
        kept: no training changes these pictures, so their features may be kept on disk.
        distances, score: whether FID and KID, and the Inception Score, are taken.
        labels: whether labels are compared with the true ones. pixels: whether L1, PSNR and SSIM are taken.
    """

    name: str
    domain: Domain
    count: int
    read: Callable[[int], Picture]
    kept: bool = True
    distances: bool = True
    score: bool = True
    labels: bool = True
    pixels: bool = True


def check_generated(
    asked: Split, generated: Split, task: Task, wanted: Domain, keys: Sequence[str] | None = None
) -> list[int]:
    """Where in `generated` the picture of each asked sample is; without a source, where each picture is.

    Args:
        wanted: the domain of the true pictures.
        keys: of what is made, where they are others than those of `asked`.

    Raises:
        Fault: other keys than those, no target domain, another size, or fewer than 2 samples.
    """
    if task.target not in generated.domains:
        raise Fault(f"{generated.root}: has no domain {task.target}; run dvc repro -f generate")
    made, real = generated.domains[task.target].height_width, wanted.height_width
    if made != real:
        sizes = ["x".join(map(str, size)) for size in (made, real)]
        raise Fault(f"{generated.root}: pictures are {sizes[0]}, true ones {sizes[1]}; run dvc repro -f generate")
    if task.source is None:
        if len(generated) < 2:
            raise Fault(f"{generated.root}: has {len(generated)} picture; metrics need at least 2")
        return list(range(len(generated)))
    place = {key: i for i, key in enumerate(generated.keys)}
    keys = asked.keys if keys is None else keys
    missing = [key for key in keys if key not in place]
    extra = sorted(place.keys() - set(keys))
    for wrong, what in ((missing, "is not in it"), (extra, "is not a test sample")):
        if wrong:
            raise Fault(f"{generated.root}: sample {wrong[0]} {what} ({len(wrong)} such); run dvc repro -f generate")
    return [place[key] for key in keys]


def build_rows(
    train: Split, test: Split, generated: Split, task: Task, seed: int, sources: Split | None = None
) -> list[Row]:
    """The rows that a task has, in the order of the table.

    model: what was generated. real: the true pictures: the ceiling of what a judge reads and of the Inception Score
    (their distance to themselves is 0 and is left out). floor: as many train pictures (at most all of them), drawn by
    seed: what FID and KID are between two sets of real ones. With a source, mean_colour: the flat painter; input: the
    source as it is drawn for people, unless it is the target itself or of another size; bicubic, in its place where the
    target is larger: the source enlarged; and, of pairs, mismatched: the true pictures of other samples (the same set,
    so without distances and score). With a condition, shuffled: what the model made of other samples' conditions.

    Args:
        sources: the translated samples where they are others than `test`. No picture has a true one then:
            nothing is compared picture by picture.
    """
    target, source = task.target, task.source
    paired, asked = source not in (None, target) and sources is None, test if sources is None else sources
    place = check_generated(asked, generated, task, test.domains[target])
    if len(test) < 2:
        raise Fault(f"{test.root}: the {test.name} split has {len(test)} image; metrics need at least 2")
    domain, count = test.domains[target], len(place)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(train))[:count])
    other = derangement(count, seed)
    labels = paired or task.condition is not None

    def real(i: int) -> Picture:
        return test.picture(i, target)

    def made(i: int) -> Picture:
        return generated.picture(place[i], target)

    def floor(i: int) -> Picture:
        return train.picture(int(chosen[i]), target)

    readable = labels and domain.kind == "image"
    rows = [
        Row("model", domain, count, made, kept=False, labels=labels, pixels=paired),
        Row("real", domain, len(test), real, distances=False, labels=readable, pixels=False),
        Row("floor", domain, len(chosen), floor, score=False, labels=False, pixels=False),
    ]
    if source is not None:
        painter = cache(lambda: flat_painter(train, test, task, seed))  # learned when it is first asked
        rows.append(Row("mean_colour", domain, count, lambda i: painter()(i), labels=labels, pixels=paired))
        if paired:
            rows.append(Row("mismatched", domain, count, lambda i: real(int(other[i])), distances=False, score=False))
        given = asked.domains[source]
        if source != target and given.height_width == domain.height_width:
            rows.append(Row("input", given, count, lambda i: asked.picture(i, source), labels=labels, pixels=paired))
        elif (times := enlargement(given, domain)) > 1:
            large = partial(_enlarged, asked, source, times)
            rows.append(Row("bicubic", given.at(domain.height_width), count, large, labels=labels, pixels=paired))
    if task.condition is not None:
        shuffled = partial(Row, kept=False, distances=False, score=False, pixels=False)
        rows.append(shuffled("shuffled", domain, count, lambda i: made(int(other[i]))))
    return rows


def _enlarged(asked: Split, source: str, times: int, i: int) -> Picture:
    return enlarged(asked.picture(i, source), times)


def derangement(count: int, seed: int) -> NDArray[np.int64]:
    """A seeded permutation of range(count) with one cycle, so that nothing stays in its place."""
    order = np.random.default_rng([seed, count]).permutation(count)
    out = np.empty(count, np.int64)
    out[order] = np.roll(order, 1)
    return out


def flat_painter(train: Split, test: Split, task: Task, seed: int) -> Callable[[int], Picture]:
    """The best picture without any texture, learned from (at most 4,096) train samples.

    From labels to images: each class in its mean colour. From images to images, and from labels that do not lie
    beside the images: the mean colour of all. To labels: everywhere the commonest class.
    """
    source, target = task.source, task.target
    domain = test.domains[target]
    if domain.kind == "label":
        counts = train.histogram(target)
        if domain.ignore is not None:
            counts[domain.ignore : domain.ignore + 1] = 0
        common = np.uint8(counts.argmax())
        return lambda _: np.full(domain.height_width, common, np.uint8)
    labels = source if source in test.domains and test.domains[source].kind == "label" else None
    classes = len(test.domains[labels].classes) if labels else 1
    pixels, sums = np.zeros(classes + 1), np.zeros((classes + 1, 3))  # the last: not labelled
    chosen = np.random.default_rng(seed).permutation(len(train))[:_PAINTER_SAMPLES]
    for i in np.sort(chosen).tolist():
        photo = train.picture(i, target).reshape(-1, 3)
        shown = train.picture(i, labels).ravel().clip(max=classes) if labels else np.zeros(len(photo), np.uint8)
        pixels += np.bincount(shown, minlength=classes + 1)
        for channel in range(3):
            sums[:, channel] += np.bincount(shown, photo[:, channel], minlength=classes + 1)
    # a class that train does not show gets the mean colour of everything
    mean = np.where(pixels[:, None] > 0, sums / np.maximum(pixels, 1)[:, None], sums.sum(0) / pixels.sum())
    colours = mean.round().astype(np.uint8)
    if labels:
        return lambda i: colours[test.picture(i, labels).clip(max=classes)]
    return lambda _: np.broadcast_to(colours[0], domain.shape)
