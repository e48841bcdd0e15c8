"""generate: every test sample translated, into tars keyed like the test shards."""

import shutil
from pathlib import Path

from components.cluster.workers import Workers
from components.files import put_file, remove_folder, sha256_file, write_bytes
from components.home import LOCAL, AnyPath, shared
from components.params import Params
from components.shards.manifest import Manifest
from components.shards.writer import write_set
from components.stage import Clock, run_stage
from components.systems.translator import CARD, WEIGHTS
from components.training.export import export_trained
from components.training.translate import Translation, translate_part, translated

SHARDS = Path("data/shards")
RUN = Path("data/runs")
OUT = Path("data/generated")
WORK = Path(".pix2pipe/generate")


def main(params: Params, clock: Clock) -> None:
    """Translate the test split with the checkpoint that `generate` names."""
    root = shared()
    shutil.rmtree(WORK, ignore_errors=True)
    with clock.part("open"):
        card = export_trained(RUN, params.generate, SHARDS, WORK)
        work = _for_all_ranks(root)
    shards = Manifest.read(SHARDS)
    job = Translation(work, shards.published(SHARDS), "test", work / "parts")
    workers = Workers(params.generate.num_workers, params.generate.device, work)
    with clock.part("translate"):
        ray = workers.run(translate_part, job)
    clock.add("ray", ray)
    clock.add("translate", -ray)
    with clock.part("write"):
        domains = {card.task[1]: card.target}
        made = translated(job, card, max(1, params.generate.num_workers))
        store = None if root is LOCAL else root / "generated"
        write_set(OUT, shards.source, domains, card.task, card.size, {"test": made}, store=store)
        for name in (WEIGHTS, CARD):
            write_bytes(OUT / name, (WORK / name).read_bytes())
    remove_folder(work)
    shutil.rmtree(WORK, ignore_errors=True)


def _for_all_ranks(root: AnyPath) -> AnyPath:
    """Where the translator lies for every rank, and their parts are put: WORK, or a copy below the root."""
    if root is LOCAL:
        return WORK.resolve()
    work = root / "work" / sha256_file(WORK / CARD)[:16]
    for name in (WEIGHTS, CARD):
        put_file(WORK / name, work / name)
    return work


if __name__ == "__main__":
    run_stage("generate", main)
