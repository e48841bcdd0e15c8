"""generate: every test sample translated, in each direction the system has, into tars keyed like the test shards."""

import shutil
from pathlib import Path

from components.cluster.workers import Workers
from components.files import put_file, remove_folder, sha256_file, write_bytes
from components.home import LOCAL, AnyPath, shared
from components.params import Params
from components.shards.manifest import Manifest
from components.shards.writer import write_set
from components.stage import Clock, run_stage
from components.systems.translator import CARD, WEIGHTS, Card
from components.training.export import export_trained
from components.training.translate import Translation, translate_parts, translated

SHARDS = Path("data/shards")
RUN = Path("data/runs")
OUT = Path("data/generated")
WORK = Path(".pix2pipe/generate")


def main(params: Params, clock: Clock) -> None:
    """Translate the test samples with the checkpoint that `generate` names."""
    root = shared()
    shutil.rmtree(WORK, ignore_errors=True)
    with clock.part("open"):
        cards = export_trained(RUN, params.generate, SHARDS, WORK)
        work = _for_all_ranks(root, cards)
    shards = Manifest.read(SHARDS)
    jobs = [_job(card, shards, work / card.direction) for card in cards]
    workers = Workers(params.generate.num_workers, params.generate.device, work)
    with clock.part("translate"):
        ray = workers.run(translate_parts, jobs)
    clock.add("ray", ray)
    clock.add("translate", -ray)
    with clock.part("write"):
        store = None if root is LOCAL else root / "generated"
        for card, job in zip(cards, jobs, strict=True):
            out, target = OUT / card.direction, card.task[1]
            made = translated(job, card, max(1, params.generate.num_workers))
            domains = {target: shards.domains[target]}
            write_set(out, shards.source, domains, card.task, card.size, {"test": made}, store=store)
            for name in (WEIGHTS, CARD):
                write_bytes(out / name, (WORK / card.direction / name).read_bytes())
    remove_folder(work)
    shutil.rmtree(WORK, ignore_errors=True)


def _job(card: Card, shards: Manifest, work: AnyPath) -> Translation:
    return Translation(work, shards.published(SHARDS), shards.side("test", card.task[0]), work / "parts")


def _for_all_ranks(root: AnyPath, cards: list[Card]) -> AnyPath:
    """Where the translators lie for every rank, and their parts are put: WORK, or a copy below the root."""
    if root is LOCAL:
        return WORK.resolve()
    work = root / "work" / sha256_file(WORK / cards[0].direction / CARD)[:16]
    for card in cards:
        for name in (WEIGHTS, CARD):
            put_file(WORK / card.direction / name, work / card.direction / name)
    return work


if __name__ == "__main__":
    run_stage("generate", main)
