"""What a stage may replace: the files that it wrote itself, and no files that a person has put among them.

DVC would delete a stage's outputs before the stage runs, whoever wrote them. So in dvc.yaml every output is `persist:
true`, and the stage deletes the files that it wrote itself. It knows them from a list in .pix2pipe/outputs, or from
dvc.lock if the outputs came from a cache or a remote.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from components.faults import Fault
from components.storage.dvc_cache import cache_of
from components.storage.files import read_bytes, require_regular, write_json

GRAPHS = (Path("dvc.yaml"), Path("tables/dvc.yaml"))
RECORDS = Path(".pix2pipe/outputs")
ASIDE = Path(".pix2pipe/set_aside")


def stage_outputs(stage: str) -> list[Path]:
    """The outputs of a stage of dvc.yaml; none where there is no such stage."""
    return [Path(name) for name in _names(_stages(GRAPHS[0]).get(stage, {}))]


def all_outputs() -> list[Path]:
    """The outputs of all stages of both graphs; of one whose name depends on params, the folder it lies in."""
    found = []
    for graph in GRAPHS:
        for config in _stages(graph).values():
            base = Path(os.path.normpath(graph.parent / config.get("wdir", ".")))
            found += [base / (Path(name).parent if "${" in name else name) for name in _names(config)]
    return found


def refuse_what_is_no_file(stage: str, outputs: list[Path]) -> None:
    """Refuse pipes, sockets, devices and links to nothing where a stage reads or writes files.

    Whoever opens a pipe waits for its other end, perhaps for ever.

    Args:
        outputs: of the stage.

    Raises:
        Fault: naming the first.
    """
    places = [Path(name) for name in _stages(GRAPHS[0]).get(stage, {}).get("deps", ()) if isinstance(name, str)]
    for place in (*places, *outputs, Path(".pix2pipe"), Path("dvc.lock")):
        if not place.is_dir():
            require_regular(place)
            continue
        for strange in _no_files(place):
            require_regular(strange)


def _no_files(folder: str | Path) -> Iterator[Path]:
    """What below a folder is neither a file nor a folder; a file is told by its entry, without a look at itself."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it has gone since, or cannot be read, which its reader will say
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _no_files(entry.path)
        elif not entry.is_file() and not entry.is_dir():
            yield Path(entry.path)


@contextmanager
def replaced(stage: str, outputs: list[Path]) -> Iterator[None]:
    """Delete the files in a stage's outputs, and record the new ones when the block ends.

    Unfinished files of a killed stage, which no list names, are moved to .pix2pipe/set_aside.

    Raises:
        Fault: the stage did not write one of the files in its outputs; then nothing has been changed.
    """
    record = RECORDS / f"{stage}.json"
    began, known = _read(record)
    files = {path: path.lstat() for output in outputs for path in _files(output)}
    foreign = [path for path, stat in files.items() if known.get(path.as_posix()) != _stamp(stat)]
    foreign = sorted(set(foreign) - _of_dvc(foreign))
    left = [path for path in foreign if began is not None and files[path].st_ctime >= began]
    if strangers := [path for path in foreign if path not in left]:
        more = f" and {len(strangers) - 1} more files" if len(strangers) > 1 else ""
        raise Fault(
            f"{strangers[0]}{more}: not written by the stage {stage}, which replaces everything in its outputs; "
            "move your own files elsewhere and run again"
        )
    aside = ASIDE / f"{stage}-{time.time_ns()}"
    for path in left:
        (aside / path).parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside / path)
    if left:
        print(f"{stage}: the unfinished files of a killed run were moved to {aside}", file=sys.stderr)  # noqa: T201
    for path in files.keys() - set(left):
        path.unlink(missing_ok=True)
    for output in outputs:
        _prune(output)
    now = _touched(record).stat().st_ctime  # by the clock of the file system, as the files' own times are
    write_json(record, {"began": now, "files": {}})
    try:
        yield
    except BaseException:
        with suppress(OSError, Fault):  # what went wrong first is what a person needs to know
            _note(record, outputs)
        raise
    _note(record, outputs)  # only a kill or a full disk leaves the record as it is


def _note(record: Path, outputs: list[Path]) -> None:
    """Record what lies in the outputs as the stage's own."""
    stamps = {path.as_posix(): _stamp(path.lstat()) for output in outputs for path in _files(output)}
    write_json(record, {"began": None, "files": stamps})


def refuse_inputs_among_outputs(places: Iterable[tuple[str, str]]) -> None:
    """Refuse inputs that lie in an output of the graph, or over one, directly or by a link.

    Args:
        places: (param, path) of everything outside the graph that params name.

    Raises:
        Fault: naming the param, the place and the output.
    """
    outputs = {output: Path(os.path.realpath(output)) for output in all_outputs()}
    for param, name in places:
        if not name or "://" in name:
            continue
        for folder in _real_places(Path(name).expanduser()):
            for output, real in outputs.items():
                if folder == real or real in folder.parents or folder in real.parents:
                    how = "holds" if folder in real.parents else "lies in, or leads into,"
                    raise Fault(
                        f"{param}: {name} {how} {output}, an output of the graph, whose files are replaced; move your "
                        "own files elsewhere, and give their new place"
                    )


def _real_places(place: Path) -> Iterator[Path]:
    """A place without its links, and every place that a link below it leads to."""
    yield Path(os.path.realpath(place))
    entered: set[str] = set()
    for folder, folders, files in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        for name in folders + files:
            if (inner := Path(folder, name)).is_symlink():
                yield Path(os.path.realpath(inner))


def _stages(graph: Path) -> dict[str, Any]:
    try:
        stages: dict[str, Any] = yaml.safe_load(read_bytes(graph))["stages"]
        return stages
    except FileNotFoundError:
        return {}


def _names(config: dict[str, Any]) -> list[str]:
    """The outputs of one stage as they are written."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in config.get(kind, ())]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def _files(output: Path) -> list[Path]:
    if output.is_file() or output.is_symlink():
        return [output]
    return [Path(folder, name) for folder, _, names in os.walk(output) for name in names]


def _stamp(stat: os.stat_result) -> list[int]:
    """What changes when a file is edited: its size in bytes, and when it was last written in nanoseconds."""
    return [stat.st_size, stat.st_mtime_ns]


def _read(record: Path) -> tuple[float | None, dict[str, list[int]]]:
    """When a stage began that has not ended, and the stamps of the files that it last wrote."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(read_bytes(record))
        return kept["began"], kept["files"]
    return None, {}


def _of_dvc(files: list[Path]) -> set[Path]:
    """Those of some files that the dvc.lock of either graph knows as outputs, byte for byte.

    DVC writes files anew when it has put them into its cache, so that their times are not those of the stage.
    """
    known: dict[str, str] = {}
    for graph in GRAPHS if files else ():
        base = graph.parent
        with suppress(OSError, KeyError, TypeError, AssertionError, yaml.YAMLError):
            stages = yaml.safe_load(read_bytes(base / "dvc.lock"))["stages"]
            for out in (out for stage in stages.values() for out in stage.get("outs", ())):
                path = (base / out["path"]).as_posix()
                known[path] = out["md5"]
                if out["md5"].endswith(".dir"):
                    cache = cache_of(base.absolute())  # in the work tree of an experiment it is the project's own
                    assert cache is not None
                    entries = json.loads((cache / out["md5"][:2] / out["md5"][2:]).read_bytes())
                    known |= {f"{path}/{entry['relpath']}": entry["md5"] for entry in entries}
    return {path for path in files if path.as_posix() in known and _md5(path) == known[path.as_posix()]}


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def _prune(output: Path) -> None:
    """Remove the empty folders of an output."""
    if output.is_dir() and not output.is_symlink():
        if any(_files(output)):
            return
        shutil.rmtree(output)
