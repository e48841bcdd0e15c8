"""The plan of a run: the first stage refuses what a later one, perhaps hours later, would refuse."""

import re
from itertools import zip_longest
from pathlib import Path

import torch

from components.counts import check_counts
from components.evaluation.config import SSIM_WINDOW
from components.evaluation.reading import measurable, reading_of
from components.faults import Fault
from components.params import Params
from components.samples.domain import Domain, enlargement
from components.samples.source import Shown
from components.samples.task import Task
from components.shards.manifest import Manifest
from components.sources import shows
from components.storage.files import sha256_json, write_text
from components.storage.yaml_file import shown
from components.systems import AnySystemConfig, build, unpaired_systems
from components.systems.judge import judge_task
from components.systems.system import Shape, System
from components.systems.use import mixture
from components.tasks.derived import derived_domains
from components.tasks.gathered import gathered_domains
from components.training.config import TrainConfig
from components.training.optimizers import require_rates_known
from components.training.run import as_seen, asked_of, files_of, require_file

CHECKED = Path(".pix2pipe/checked_plan")
_CODE = Path(__file__).parent
SHARDS = Path("data/shards")
_PARAM = re.compile(r"^(system|train)\.")  # what a Fault of a network or optimizer begins with
_MOST_PARAMETERS = 4_000_000_000


def check_plan(params: Params) -> None:
    """Refuse params that cannot work: ranks that cannot share a batch, networks that cannot take the pictures.

    A plan that was found good is not checked again until the params or any file of the code change.

    Raises:
        Fault: naming the param.
    """
    plan = sha256_json([_written(_CODE), params.model_dump(mode="json", by_alias=True)])
    if CHECKED.is_file() and CHECKED.read_text(encoding="utf-8") == plan:
        return
    _check(params)
    write_text(CHECKED, plan)


def _written(code: Path) -> list[tuple[str, int, int]]:
    """The size and the time of the last write of each file of the code; reading them takes a few milliseconds."""
    stats = {path.relative_to(code).as_posix(): path.stat() for path in sorted(code.rglob("*.py"))}
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()]


def _check(params: Params) -> None:
    check_counts(params)
    for train in (params.train, params.judge.train):
        if train.start_from is not None and train.start_from.endswith(".safetensors"):
            require_file(train.start_from)
    ranks = max(1, params.train.num_workers)
    files_of(params.system)
    params.system.require_batch(params.train.batch_size // ranks, ranks)
    data = _asked(params)
    _check_task("shard.task", data.task, data)
    _check_task("train.task", params.train.task or data.task, data)
    task, judged = asked_of(params.system, params.train.task or data.task), None
    if data.aligned and params.judge.system is not None:
        judged = judge_task(data.task, data.domains, params.judge.system)
        if judged is not None:
            assert judged.source is not None
            seen = Shape(data.domains[judged.source], data.domains[judged.target])
            _check_networks("judge", params.judge.system, params.judge.train, seen)
    if data.domains[task.target].stacked and judged is None:
        raise Fault(
            f"judge.system: no judge reads the pictures in the channels of {task.target}, whose modes are counted by "
            "them; set it to {name: classifier}"
        )
    if task.source not in (None, task.target) and not data.aligned and params.system.paired:
        raise Fault(
            f"system.name: {params.system.name} learns from aligned pairs, and fetch.layout is unpaired; systems that "
            f"learn without: {', '.join(unpaired_systems())}"
        )
    source, target, asked = (
        None if name is None else as_seen(data.domains[name], params.train)
        for name in (task.source, task.target, task.condition)
    )
    assert target is not None
    if params.tune.num_trials:
        reading = reading_of(task, data.domains, judged, data.aligned)
        measurable(task, data.domains, reading, params.evaluate.suffixes, params.tune.objective)
    system = _check_networks("", params.system, params.train, Shape(source, target, asked=asked))
    if (count := params.generate.count) is not None and source is not None:
        raise Fault(f"generate.count {count}: every test sample has one picture made of it; set it to null")
    if params.generate.style:
        _check_style(system, params.generate.style)
    jitter = params.train.augment
    if target.kind == "point" and (jitter.resize or jitter.vertical_flip or jitter.horizontal_flip):
        raise Fault(
            "train.augment: points are not jittered; set resize to null, and horizontal_flip and vertical_flip to false"
        )
    if source is not None and jitter.resize and source.height_width != target.height_width:
        raise Fault(
            f"train.augment.resize: {task.source} and {task.target} differ in size, and crops of "
            "them would not show the same; set it to null"
        )
    if source is not None and data.aligned and target.kind == "image":
        times = enlargement(source, target)
        least = SSIM_WINDOW + 2 * times * (times > 1)  # with the border that is left off
        if (side := min(target.height_width)) < least:
            raise Fault(
                f"shard.cut.image_size: {task.target} has {side} pixels a side, and SSIM needs at least {least}; set a "
                "larger size"
            )


def check_shards(params: Params, manifest: Manifest) -> None:
    """Refuse shards that were made with other params, before a stage uses them.

    Raises:
        Fault: naming the param, what it asks and what the shards have.
    """
    data = _asked(params)
    differing: dict[str, tuple[object, object]] = {
        "fetch.name": (params.fetch.name, manifest.source),
        "shard.derive and shard.gather": (sorted(data.domains), sorted(manifest.domains)),
        "shard.task": (data.task, manifest.task),
    }
    for name, domain in manifest.domains.items():
        if (asked := data.domains.get(name)) is not None:
            differing[f"shard.cut.image_size, the size of {name}"] = asked.size, domain.size
            differing[f"the classes and colours of {name}"] = _drawn(asked), _drawn(domain)
            differing[f"ignore, range and bands of {name}"] = _read_as(asked), _read_as(domain)
    for param, (now, made) in differing.items():
        if now != made:
            both = "" if isinstance(made, dict) else f": now {_brief(now)}, made with {_brief(made)}"
            raise Fault(f"{SHARDS} was made with other params ({param}{both}); run dvc repro -f shard")


def _drawn(domain: Domain) -> dict[str, object]:
    """Each class and its colour. Their order is the manifest's: DVC takes no notice of it in params."""
    return dict(zip_longest(domain.classes, domain.palette))


def _check_task(param: str, task: Task, data: Shown) -> None:
    for name in task.domains:
        if name not in data.domains:
            raise Fault(f"{param}: {shown(name)}: no such domain; there are {', '.join(data.domains)}")
    if task.condition is not None and not data.domains[task.condition].askable:
        kind = data.domains[task.condition].kind
        raise Fault(f"{param}.condition: {task.condition} is of kind {kind}; a condition is a category or attributes")


def _check_style(system: System, style: dict[str, float]) -> None:
    for use in system.uses.values():
        try:
            mixture(use, style)
        except Fault as fault:
            raise Fault(f"generate.{fault}") from fault


def _check_networks(section: str, config: AnySystemConfig, train: TrainConfig, shape: Shape) -> System:
    """Make the networks without their memory, which takes a moment and refuses what training would refuse."""
    prefix = f"{section}." if section else ""
    try:
        with torch.device("meta"):
            system = build(config, shape)
        require_rates_known(system, train)
    except Fault as fault:
        raise Fault(_PARAM.sub(rf"{prefix}\1.", str(fault), count=1)) from fault
    except (RuntimeError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise Fault(f"{prefix}system: networks of these sizes cannot be made ({reason})") from error
    if (parameters := sum(system.num_parameters().values())) > _MOST_PARAMETERS:
        raise Fault(
            f"{prefix}system: the networks would have {parameters:,} parameters; look for a width or a size that is "
            "too large"
        )
    return system


def _read_as(domain: Domain) -> dict[str, object]:
    return {"ignore": domain.ignore, "range": domain.range, "bands": domain.bands}


def _asked(params: Params) -> Shown:
    """What the shards hold that params ask for."""
    shard = params.shard
    shown_by = shows(params.fetch, shard.cut)
    if shard.derive and not shown_by.aligned:
        raise Fault("shard.derive: pictures are derived where each sample holds all domains; fetch.layout is unpaired")
    shown_by = shown_by._replace(domains=derived_domains(shown_by.domains, shard.derive))
    if shard.gather:
        shown_by = gathered_domains(shown_by, shard.gather)
    return shown_by._replace(task=shard.task or shown_by.task)


def _brief(value: object) -> str:
    """A size as 64x64, domains by name."""
    sizes = isinstance(value, tuple) and all(isinstance(part, int) for part in value)
    text = ("x" if sizes else ", ").join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    text = value.title if isinstance(value, Task) else text
    return text[:60]
