"""Checks that the files of earlier stages were made with the present params, before a stage uses them."""

from pathlib import Path
from typing import Any

from components.faults import Fault
from components.models.card import CARD
from components.params import Params, with_values
from components.plan import SHARDS, check_shards
from components.search.outcome import WINNER, read_winner
from components.shards.manifest import MANIFEST, Manifest
from components.storage.files import exists, read_json
from components.systems.judge import CARD as JUDGE_CARD

JUDGE, TUNED, RUN, GENERATED = Path("data/judge"), Path("data/tune"), Path("data/runs"), Path("data/generated")
METRICS = Path("data/metrics")
# What each stage reads of those before it, that params decide.
READS: dict[str, tuple[str, ...]] = {
    "judge": ("shards",),
    "tune": ("shards", "judge"),
    "train": ("shards",),
    "generate": ("shards", "run"),
    "evaluate": ("shards", "judge", "generated"),
    "register": ("shards", "run", "generated", "metrics"),
    "report": ("shards", "judge", "run", "generated", "metrics"),
}
_Pairs = dict[str, tuple[Any, Any]]  # param -> (asked, found)


def check_inputs(stage: str, params: Params) -> None:
    """Refuse inputs of a stage that were made for other params than those it is run with.

    DVC does not notice a file that was committed by hand, an experiment that was applied in part, or a stage that is
    run by itself. Missing files are left for the stage itself to report.

    Raises:
        Fault: naming the output, the param, both values, and the stage to run again.
    """
    for what in READS.get(stage, ()):
        _CHECKS[what](params)


def _shards(params: Params) -> None:
    if exists(SHARDS / MANIFEST):
        check_shards(params, Manifest.read(SHARDS))


def _judge(params: Params) -> None:
    card = _read(JUDGE / JUDGE_CARD)
    if "system" in card and params.judge.system is not None:
        _compare(JUDGE, "judge", _each("judge.system", params.judge.system.model_dump(mode="json"), card["system"]))
        _of_shards(JUDGE, "judge", card.get("manifest"))


def _run(params: Params) -> None:
    made = _read(RUN / "run.json")
    if not made or not exists(TUNED / WINNER):
        return
    params = with_values(params, read_winner(TUNED), f"{TUNED / WINNER}")
    pairs = _each("system", params.system.model_dump(mode="json"), made["system"])
    pairs |= _each("train", params.train.decisive(), made["train"])
    _compare(RUN, "train", pairs)
    _of_shards(RUN, "train", made["manifest"])


def _generated(params: Params) -> None:
    asked = params.generate
    made = _read(RUN / "run.json")
    for folder in sorted(GENERATED.glob("*/")):
        card = _read(folder / CARD)
        if not card:
            continue
        pairs: _Pairs = {
            "generate.checkpoint": (asked.checkpoint, card["checkpoint"]),
            "generate.mode": (asked.mode, card["mode"]),
            "generate.batch_size": (asked.batch_size, card["batch_size"]),
            "generate.style": (asked.style, card.get("style", {})),
        }
        if made:
            pairs["the run"] = (made["key"], card["key"])
        _compare(folder, "generate", pairs)


def _metrics(_: Params) -> None:
    for name, measured in _read(METRICS / "rows.json").items():
        card = _read(GENERATED / name / CARD)
        lineage = measured.get("lineage", {})
        if card and lineage:
            pairs = {"the weights": (card["weights_sha256"], lineage["weights_sha256"])}
            _compare(METRICS / "rows.json", "evaluate", pairs)
            _of_shards(METRICS, "evaluate", lineage.get("manifest"))


_CHECKS = {"shards": _shards, "judge": _judge, "run": _run, "generated": _generated, "metrics": _metrics}


def _of_shards(output: Path, stage: str, manifest: str | None) -> None:
    if manifest is not None and exists(SHARDS / MANIFEST):
        _compare(output, stage, {"the samples": (Manifest.read(SHARDS).sha256, manifest)})


def _each(section: str, asked: dict[str, Any], found: dict[str, Any]) -> _Pairs:
    return {f"{section}.{key}": (value, found.get(key)) for key, value in asked.items() if key in found}


def _compare(output: Path, stage: str, pairs: _Pairs) -> None:
    for param, (asked, found) in pairs.items():
        if asked != found:
            raise Fault(
                f"{output} was made with other params ({param}: now {str(asked)[:60]}, made with {str(found)[:60]}); "
                f"run dvc repro -f {stage}"
            )


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = read_json(path) if exists(path) else {}
    return values
