"""generate: the test pictures of each use that the system has, into tars keyed like the test shards."""

import shutil
from pathlib import Path

from components.cluster.workers import Workers
from components.models.asked import open_asked
from components.models.card import CARD, WEIGHTS, Card
from components.models.sheets import draw_matrix, draw_sheets
from components.params import Params
from components.samples.task import Task
from components.shards.manifest import Manifest
from components.shards.writer import write_set
from components.stage import Clock, run_stage
from components.storage.files import put_file, remove_folder, sha256_file, write_bytes
from components.storage.home import LOCAL, AnyPath, shared
from components.training.export import export_trained
from components.training.making import Making, made, make_parts

SHARDS = Path("data/shards")
RUN = Path("data/runs")
OUT = Path("data/generated")
WORK = Path(".pix2pipe/generate")


def main(params: Params, clock: Clock) -> None:
    """Make the test pictures with the checkpoint that `generate` names."""
    root = shared()
    shutil.rmtree(WORK, ignore_errors=True)
    with clock.part("open"):
        cards = export_trained(RUN, params.generate, SHARDS, WORK)
        work = _for_all_ranks(root, cards)
    shards = Manifest.read(SHARDS)
    published, config = shards.published(SHARDS), params.generate
    jobs = [Making(work / card.name, published, work / card.name / "parts", config.count) for card in cards]
    workers = Workers(config.num_workers, config.device, work)
    with clock.part("make"):
        ray = workers.run(make_parts, jobs)
    clock.add("ray", ray)
    clock.add("make", -ray)
    with clock.part("write"):
        store = None if root is LOCAL else root / "generated"
        for card, job in zip(cards, jobs, strict=True):
            out, target = OUT / card.name, card.task.target
            pictures = made(job, open_asked(SHARDS, card, count=config.count), max(1, config.num_workers))
            domains = {target: shards.domains[target]}
            write_set(out, shards.source, domains, Task(target=target), {"test": pictures}, store=store)
            for name in (WEIGHTS, CARD):
                write_bytes(out / name, (WORK / card.name / name).read_bytes())
            if card.source is None:
                draw_sheets(out)
            elif card.task.within:
                draw_matrix(out, open_asked(SHARDS, card))
    remove_folder(work)
    shutil.rmtree(WORK, ignore_errors=True)


def _for_all_ranks(root: AnyPath, cards: list[Card]) -> AnyPath:
    """Where the generators lie for every rank, and their parts are put: WORK, or a copy below the root."""
    if root is LOCAL:
        return WORK.resolve()
    work = root / "work" / sha256_file(WORK / cards[0].name / CARD)[:16]
    for card in cards:
        for name in (WEIGHTS, CARD):
            put_file(WORK / card.name / name, work / card.name / name)
    return work


if __name__ == "__main__":
    run_stage("generate", main)
