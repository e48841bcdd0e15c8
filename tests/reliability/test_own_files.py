"""Files that a person puts among the outputs of stages, whatever happens to the stages around them."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from components.faults import Fault
from components.storage.outputs import ASIDE, RECORDS, replaced

ROUNDS, TURNS = 250, 8
STAGES = {"fetch": ["data/raw"], "evaluate": ["data/metrics/a.json", "data/metrics/per_sample"]}


@pytest.mark.promise("29 own files among the outputs of stages: none is deleted or changed, the stage refuses or moves")
def test_own_files_outlast_every_history(tally, tmp_path, monkeypatch):
    for turn in range(ROUNDS):
        folder = tmp_path / str(turn)
        folder.mkdir()
        monkeypatch.chdir(folder)
        chance = random.Random(turn)
        own: dict[Path, str] = {}
        for step in range(TURNS):
            history(chance, own, step)
        lost = [path for path, text in own.items() if not kept(path, text)]
        tally.count(not lost, f"round {turn}: {lost} of {own}")


def kept(path: Path, text: str) -> bool:
    """Whether a file is as its owner left it, where it was or, after a kill, where the stage has moved it."""
    moved = [aside / path for aside in ASIDE.glob("*")]
    return any(place.is_file() and place.read_text() == text for place in (path, *moved))


def history(chance: random.Random, own: dict[Path, str], step: int) -> None:
    """One thing that happens: a stage runs, fails or is killed; a person adds a file, edits one or takes one away."""
    name = chance.choice(list(STAGES))
    outputs = [Path(output) for output in STAGES[name]]
    match chance.choice(["run", "run", "fail", "kill", "add", "edit", "remove"]):
        case "add":
            path = chance.choice([output for output in outputs if not output.suffix]) / f"mine_{step}"
            own[write(path, f"mine {step}")] = f"mine {step}"
        case "edit":  # of the stage's own file, to another text of the same length, as a person corrects a figure
            made = [p for o in outputs for p in ([o] if o.is_file() else o.rglob("made*")) if p.is_file()]
            if made and not (set(made) & own.keys()):
                text = f"edit{len(made[0].read_text()) * '.'}"[: len(made[0].read_text())]
                own[write(made[0], text)] = text
        case "remove" if own:
            path = chance.choice(sorted(own))
            path.unlink(missing_ok=True)
            del own[path]
        case "run" | "fail" | "kill" as how:
            killed: list[tuple[Path, bytes]] = []
            record = RECORDS / f"{name}.json"
            with suppress(Fault, RuntimeError), replaced(name, outputs):
                begun = record.read_bytes()
                for output in outputs:
                    write(output if output.suffix else output / "deeper/made", f"made at step {step}")
                if how == "fail":
                    raise RuntimeError("the stage fails")
                killed.append((record, begun))
            if how == "kill" and killed:  # the record is as a killed process leaves it
                killed[0][0].write_bytes(killed[0][1])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_what_a_killed_stage_made_is_aside_and_not_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replaced("fetch", [Path("data/raw")]):
        begun = (RECORDS / "fetch.json").read_bytes()
        write(Path("data/raw/half"), "half")
    (RECORDS / "fetch.json").write_bytes(begun)
    with replaced("fetch", [Path("data/raw")]):
        pass
    assert [path.read_text() for path in ASIDE.rglob("half")] == ["half"]
