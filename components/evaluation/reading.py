"""What can be measured of a task, by its domains and its judge alone: before there are pictures, and when there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.evaluation.config import LUMA_FIGURES, PIXEL_FIGURES
from components.faults import Fault
from components.samples.domain import Domain, enlargement
from components.samples.task import Task


@dataclass(frozen=True)
class Reading:
    """What pictures are compared by.

    Attributes:
        labels: the domain whose classes are compared, None where there is none.
        by_judge: whether a judge reads them; else they are those of the target itself.
        paired: whether each picture has its own true one.
        skipped: kind of metric -> why it is not measured.
        stacked: the category of a stack's first channel, by whose classes the judge reads every channel; None where
            pictures are no stacks, or it cannot.
        border: pixels left off at each edge where the luma of an enlarged picture is compared; 0 where none is.
    """

    labels: str | None
    by_judge: bool
    paired: bool
    skipped: Mapping[str, str]
    border: int = 0
    stacked: str | None = None


def reading_of(task: Task, domains: Mapping[str, Domain], judged: Task | None, aligned: bool) -> Reading:
    """What is compared in a task.

    Args:
        domains: of the samples that pictures are compared with.
        judged: what the judge reads (source) as what (target), None where there is no judge.
        aligned: whether the samples that are translated are those that pictures are compared with.
    """
    source, target, condition = task.source, task.target, task.condition
    if source is None:
        skipped = {"pixels": "no true picture: pictures are made from noise"}
        if condition is not None and (judged is None or (judged.source, judged.target) != (target, condition)):
            skipped["condition"] = f"no judge that reads {condition} from {target}"
            condition = None
        stacked = None
        if (channels := domains[target].stacked) is not None:
            if judged is not None and (judged.source, judged.target) == (target, channels[0]):
                stacked = channels[0]
            else:
                skipped["mode"] = f"no judge that reads {channels[0]} from {target}"
        by_judge = (condition or stacked) is not None
        return Reading(condition, by_judge, paired=False, skipped=skipped, stacked=stacked)
    labels = domains[target].kind == "label"
    if source == target:
        reason = f"no true picture: {target} is shown in another way"
        return _nothing(labels, reason)
    if not aligned:
        return _nothing(labels, f"no aligned truth: {source} and {target} are pictures of different samples")
    if labels:
        reason = "the target is a label map: its labels are compared directly (labels_*)"
        return Reading(target, by_judge=False, paired=True, skipped={"fcn": reason, "pixels": reason})
    times = enlargement(domains[source], domains[target])
    border = times if times > 1 else 0
    if judged is None:
        reason = "no judge: judge.system is null, or the data has no labels beside its photos"
    elif judged.source != target or judged.target not in domains:
        reason = f"the judge reads {judged.target} from {judged.source}, not from {target}"
    else:
        return Reading(judged.target, by_judge=True, paired=True, skipped={}, border=border)
    return Reading(None, by_judge=False, paired=True, skipped={"fcn": reason}, border=border)


def _nothing(labels: bool, reason: str) -> Reading:
    skipped = {"labels" if labels else "fcn": reason, "pixels": reason}
    return Reading(None, by_judge=False, paired=False, skipped=skipped)


@dataclass(frozen=True)
class Measurable:
    """The metrics that one of can be the objective of a search.

    Attributes:
        read: of classes. distances: of sets of pictures. pixels: of a picture and its own true one.
        default: the one that is taken where none is named.
    """

    read: tuple[str, ...]
    distances: tuple[str, ...]
    pixels: tuple[str, ...]
    default: str


def measurable(
    task: Task, domains: Mapping[str, Domain], reading: Reading, suffixes: Sequence[str], figure: str | None
) -> Measurable:
    """What a search can look for.

    Args:
        suffixes: of the feature networks, the first one's first. figure: what is asked for.

    Raises:
        Fault: a search cannot measure the task, or not by that metric; it names those that it can.
    """
    target = domains[task.target]
    if target.kind == "point":
        raise Fault("tune.num_trials: the target is points, and a search can only measure pictures; set it to 0")
    if task.within:
        raise Fault(f"tune.num_trials: a search measures one translation, and {task.title} is several; set it to 0")
    ends = [f"_{suffix}" if suffix else "" for suffix in suffixes]
    sets = ("fid", "kid") if task.source is not None else ("fid", "kid", "precision", "recall")
    distances = tuple(f"{name}{end}" for name in sets for end in ends)
    read: tuple[str, ...] = ()
    if reading.labels is not None:
        by = "fcn" if reading.by_judge else "labels"
        read = tuple(f"{by}_{name}" for name in ("class_iou", "class_accuracy", "pixel_accuracy"))
        read = read if task.condition is None else ("condition_accuracy",)
    pixels: tuple[str, ...] = PIXEL_FIGURES if target.kind == "image" and reading.paired else ()
    pixels += LUMA_FIGURES if reading.border else ()
    found = Measurable(read, distances, pixels, default=(*read, f"kid{ends[0]}")[0])
    known = (*read, *distances, *pixels)
    if figure is not None and figure not in known:
        kind = "pixels" if figure in PIXEL_FIGURES else figure.partition("_")[0]
        reason = f" ({reading.skipped[kind]})" if kind in reading.skipped else ""
        raise Fault(f"tune.objective: {figure} cannot be measured here{reason}; it is one of {', '.join(known)}")
    return found
