"""shard: raw pictures into WebDataset tars with a manifest and an index."""

import sys
from pathlib import Path

from components.counts import check_batches, check_classes, check_data
from components.params import Params
from components.samples.source import Source
from components.shards.dark import dark_domains
from components.shards.writer import write_shards
from components.sources import open_source
from components.stage import Clock, run_stage
from components.storage.home import LOCAL, shared
from components.tasks.derived import derived
from components.tasks.gathered import gathered

RAW = Path("data/raw")
SHARDS = Path("data/shards")


def main(params: Params, clock: Clock) -> None:
    """Cut the raw pictures into samples, derive further ones and pack them into shards."""
    with clock.part("open"):
        shard = params.shard
        source: Source = derived(open_source(RAW, shard.cut), shard.derive, None if shard.gather else shard.task)
        if shard.gather:
            source = gathered(source, shard.gather, shard.task)
    with clock.part("write"):
        root = shared()
        manifest = write_shards(source, SHARDS, params.shard, None if root is LOCAL else root / "shards")
    check_data(manifest)
    check_batches(params, manifest)
    check_classes(params, manifest)
    for line in dark_domains(SHARDS):
        print(f"shard: {line}", file=sys.stderr)
    counts = ", ".join(f"{manifest.count(split)} {split}" for split in manifest.splits)
    print(f"{SHARDS}: {counts}; {len(manifest.bad)} bad samples left out", file=sys.stderr)


if __name__ == "__main__":
    run_stage("shard", main)
