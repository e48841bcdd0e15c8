"""The plan of a run: what stages that come hours later would refuse, refused before the first one works."""

from pathlib import Path

import torch

from components.domain import Domain
from components.faults import Fault
from components.files import sha256_json, write_text
from components.params import Params
from components.shards.manifest import Manifest
from components.sources.earth_cut import EarthCut, earth_domains
from components.sources.folder_config import FolderConfig
from components.systems import AnySystemConfig, build
from components.systems.judge import judge_task
from components.systems.system import Shape
from components.training.config import TrainConfig

CHECKED = Path(".pix2pipe/checked_plan")
_MOST_PARAMETERS = 4_000_000_000
_LEAST = 2  # samples that a split needs to be measured


def check_plan(params: Params) -> None:
    """Refuse what params alone tell: ranks that cannot share a batch, networks that cannot take the pictures.

    A plan that was found good is not checked again by the stages that follow.

    Raises:
        Fault: naming the param.
    """
    plan = sha256_json(params.model_dump(mode="json", by_alias=True))
    if CHECKED.is_file() and CHECKED.read_text(encoding="utf-8") == plan:
        return
    _check(params)
    write_text(CHECKED, plan)


def _check(params: Params) -> None:
    for section, train in (("train", params.train), ("judge.train", params.judge.train)):
        _check_ranks(section, train)
    domains, source, target = _task(params)
    if source not in domains or target not in domains:
        return  # a domain that only the data can tell of
    size = params.shard.cut.image_size, params.shard.cut.image_size
    judged = judge_task((source, target), domains) if _aligned(params) else None
    if judged is not None:
        seen = Shape(domains[judged[0]], domains[judged[1]], size)
        _check_networks("judge.system", params.judge.system, seen)
    encoded = {
        name: domain.model_copy(update={"encoding": params.train.labels}) if domain.kind == "label" else domain
        for name, domain in domains.items()
    }
    _check_networks("system", params.system, Shape(encoded[source], encoded[target], size))


def check_data(manifest: Manifest) -> None:
    """Refuse data of which too little is left to be measured, when the shards are written rather than after training.

    Raises:
        Fault: naming the split, how many samples it has, and what to do.
    """
    for split in manifest.splits:
        kind, count = split.partition("/")[0], manifest.count(split)
        if kind != "train" and count < _LEAST:
            raise Fault(
                f"the {split} split has {count} sample, and {_LEAST} are the least that can be measured; give more "
                "pictures, or hold out more of them (fetch.holdout, shard.cut.pattern)"
            )


def _check_ranks(section: str, train: TrainConfig) -> None:
    if train.num_workers and train.batch_size % train.num_workers:
        raise Fault(
            f"{section}.batch_size {train.batch_size} cannot be dealt to {train.num_workers} workers evenly; make it a "
            f"multiple of {section}.num_workers"
        )


def _check_networks(section: str, config: AnySystemConfig, shape: Shape) -> None:
    """Make the networks without their memory, which takes a moment and refuses what training would refuse."""
    try:
        with torch.device("meta"):
            parameters = sum(build(config, shape).num_parameters().values())
    except Fault as fault:
        raise Fault(str(fault).replace("system.", f"{section}.", 1)) from fault
    except (RuntimeError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise Fault(f"{section}: networks of these sizes cannot be made ({reason})") from error
    if parameters > _MOST_PARAMETERS:
        raise Fault(f"{section}: the networks would have {parameters:,} parameters; look for a width or size too many")


def _task(params: Params) -> tuple[dict[str, Domain], str, str]:
    """Every domain that the samples will have, and the source and target of the run."""
    fetch, shard = params.fetch, params.shard
    if isinstance(shard.cut, EarthCut):
        domains = earth_domains(shard.cut)
        direction: tuple[str, str] = shard.cut.direction
    else:
        assert isinstance(fetch, FolderConfig)
        domains = {side.name: side.domain() for side in fetch.sides}
        names = fetch.sides[0].name, fetch.sides[-1].name
        direction = names if fetch.direction == "AtoB" else (names[1], names[0])
    domains |= dict.fromkeys(shard.derive, Domain(kind="image"))
    if params.train.task is not None:
        return domains, params.train.task.source, params.train.task.target
    return domains, *(shard.direction or direction)


def _aligned(params: Params) -> bool:
    return not (isinstance(params.fetch, FolderConfig) and params.fetch.layout == "unpaired")
