"""What train.start_from names, found and put where every node can read it."""

import re
from pathlib import Path

from components.faults import Fault
from components.models.card import CARD, WEIGHTS, read_card
from components.networks.tensors import write_tensors
from components.storage.files import exists, listed, put_file, read_bytes, sha256_file
from components.storage.home import LOCAL, AnyPath, absolute, shared
from components.storage.scratch import scratch
from components.systems import build
from components.systems.weights import load_weights
from components.tracking.store import open_store, tracking_uri
from components.tracking.versions import fetch_version, find_version
from components.training.checkpoint import WEIGHTS as CHECKPOINT
from components.training.checkpoint import CheckpointStore
from components.training.config import TrainConfig

_VERSION = re.compile(r"models:/(?P<model>[^/@]+)[/@](?P<which>[\w-]+)")


def settled_start(train: TrainConfig, experiment: str) -> TrainConfig:
    """The params of a training with the file of the weights in the place of what names them.

    The file is named by its content, so it is the same for every stage, node and run that starts from these weights.

    Args:
        experiment: of the registry that versions are looked up in.

    Raises:
        Fault: there is no such version, run or file.
    """
    if train.start_from is None:
        return train
    with scratch() as folder:
        file = Path(folder) / "start.safetensors"
        if match := _VERSION.fullmatch(train.start_from):
            _from_version(match["model"], match["which"], experiment, Path(folder), file)
        elif train.start_from.startswith("run:"):
            file.write_bytes(read_bytes(_of_run(train.start_from.removeprefix("run:"))))
        else:
            file = Path(train.start_from).expanduser()
            if not file.is_file():
                raise Fault(f"train.start_from: {file}: no such file")
        load_weights(file)
        place = absolute(shared() / "starts" / f"{sha256_file(file)}.safetensors")
        if not exists(place):
            put_file(file, place)
    return train.model_copy(update={"start_from": str(place)})


def _from_version(model: str, which: str, experiment: str, folder: Path, file: Path) -> None:
    """A version's networks, by the names that a checkpoint has."""
    store = open_store(tracking_uri(LOCAL), LOCAL, experiment, make=False)
    artifacts = fetch_version(store, find_version(store, model, which), folder)
    card = read_card(artifacts / CARD)
    use, weights = build(card.system, card.shape()).uses[card.use], load_weights(artifacts / WEIGHTS)
    write_tensors(file, weights if use.beside else {f"{use.network}.{key}": v for key, v in weights.items()})


def _of_run(key: str) -> AnyPath:
    """The weights of the last checkpoint of the one run whose key begins so."""
    runs = shared() / "runs"
    keys = sorted({name.split("/")[0] for name in listed(runs)})
    found = [name for name in keys if name.startswith(key)]
    if len(found) != 1:
        which = f"{len(found)} runs begin so ({', '.join(found[:5])})" if found else f"no such run in {runs}"
        raise Fault(f"train.start_from: run:{key}: {which}")
    last = CheckpointStore(runs / found[0] / "checkpoints").last()
    if last is None:
        raise Fault(f"train.start_from: run:{key}: {runs / found[0]} has no whole checkpoint yet")
    return last.folder / CHECKPOINT
