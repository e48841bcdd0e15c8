"""generate: every test sample translated, into tars keyed like the test shards."""

import shutil
from pathlib import Path

from components.cluster.workers import Workers
from components.files import write_bytes
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
    shutil.rmtree(WORK, ignore_errors=True)
    with clock.part("open"):
        card = export_trained(RUN, params.generate, SHARDS, WORK)
    job = Translation(WORK.resolve(), SHARDS.resolve(), "test", WORK.resolve() / "parts")
    workers = Workers(params.generate.num_workers, params.generate.device, WORK.resolve())
    with clock.part("translate"):
        ray = workers.run(translate_part, job)
    clock.add("ray", ray)
    clock.add("translate", -ray)
    with clock.part("write"):
        shards = Manifest.read(SHARDS)
        domains = {card.task[1]: card.target}
        write_set(OUT, shards.source, domains, card.task, card.size, {"test": translated(job)})
        for name in (WEIGHTS, CARD):
            write_bytes(OUT / name, (WORK / name).read_bytes())
    shutil.rmtree(WORK)


if __name__ == "__main__":
    run_stage("generate", main)
