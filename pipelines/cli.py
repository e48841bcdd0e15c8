"""The command `pix2pipe`: what is not a stage."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from components.cluster.jobs import Jobs
from components.cluster.spread import spread
from components.cluster.submit import attach, submit
from components.dvc_cache import verify_cache
from components.faults import Fault
from components.files import write_text
from components.home import located, shared
from components.node_cache import fresh_cache
from components.params import load_params, load_tables, parse_params, run_params
from components.shards.verify import verify
from components.sources import SOURCES
from components.tables.cell import plan_cell

PARAMS = Path("params.yaml")
TABLES = Path("tables/params.yaml")
SHARDS = Path("data/shards")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a Fault is one line on stderr and status 1."""
    parser = argparse.ArgumentParser(prog="pix2pipe", description="What is not a stage of the graph (dvc repro).")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("verify", help="check every byte of the shards and of DVC's cache")
    command.add_argument("root", nargs="?", help="check these shards alone: a folder, or one at s3://")
    command.set_defaults(run=lambda chosen: _verify(chosen.root))
    command = commands.add_parser("sources", help="list where pictures can come from, and their params")
    command.set_defaults(run=lambda _: _sources())
    command = commands.add_parser(
        "use", help="take the sections of a file such as configs/facades.yaml into params.yaml"
    )
    command.add_argument("file", type=Path)
    command.add_argument("--params", type=Path, default=PARAMS, help="default: params.yaml")
    command.set_defaults(run=lambda chosen: _use(chosen.file, chosen.params))
    command = commands.add_parser("spread", help="train the cells of the papers' tables as parallel tasks of Ray")
    command.add_argument("runs", nargs="*", metavar="RUN", help="default: all of cells.run")
    command.add_argument("--cpus", type=int, default=1, help="that each takes; default: 1")
    command.add_argument("--params", type=Path, default=TABLES, help=f"default: {TABLES}")
    command.set_defaults(run=lambda chosen: _spread(chosen.runs, chosen.cpus, chosen.params))
    _add_job_commands(commands)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except Fault as fault:
        sys.exit(f"pix2pipe: {fault}")


def _add_job_commands(commands: Any) -> None:
    """The commands about jobs on a cluster; docs/cluster.md."""
    command = commands.add_parser("submit", help="run stages as a job on the cluster at RAY_API_SERVER_ADDRESS")
    command.add_argument("stages", nargs="*", metavar="STAGE", help="default: the whole graph")
    command.add_argument("--detach", action="store_true", help="do not wait for its end")
    command.set_defaults(run=lambda chosen: _submit(chosen.stages, chosen.detach))
    command = commands.add_parser("attach", help="follow a job's log to its end and bring its results home")
    command.add_argument("job")
    command.set_defaults(run=lambda chosen: sys.exit(attach(Path.cwd(), Jobs.connect(), chosen.job)))
    command = commands.add_parser("stop", help="end a job; what it has finished is kept")
    command.add_argument("job")
    command.set_defaults(run=lambda chosen: _stop(chosen.job))
    command = commands.add_parser("jobs", help="list the cluster's jobs of this project, the newest last")
    command.set_defaults(run=lambda _: _jobs())


def _submit(stages: list[str], detach: bool) -> None:
    load_params(PARAMS)  # a misspelt key is refused here rather than by the job
    sys.exit(submit(Path.cwd(), stages, detach))


def _stop(job: str) -> None:
    Jobs.connect().stop(job)
    print(f"pix2pipe: job {job} is told to end")


def _jobs() -> None:
    for job in Jobs.connect().list():
        if job.root is not None:
            began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
            print(f"{job.id}  {job.status:9}  {began}  {' '.join(job.stages) or 'whole graph':20}  {job.root}")


def _spread(names: list[str], cpus: int, path: Path) -> None:
    """`dvc repro tables/dvc.yaml` then finds the runs finished, and only measures them."""
    tables, runs = load_tables(path), {}
    for name in names or tables.cells.run:
        if name not in tables.runs:
            raise Fault(f"{path}: no run {name}; there are {', '.join(tables.runs)}")
        for seed in tables.cells.seed:
            run = plan_cell(run_params(tables, name, str(path)), seed, SHARDS, shared() / "runs")
            runs[run.key] = (f"{name}-{seed}", run)
    began = time.perf_counter()

    def say(name: str, how: str) -> None:
        print(f"spread: {name}: {how} ({time.perf_counter() - began:.0f} s)", file=sys.stderr)

    spread(dict(runs.values()), cpus, say)


def _verify(root: str | None) -> None:
    # With a cache of its own: what is checked is what lies at the root now, not what a node has kept of it.
    with fresh_cache():
        whole, faults = verify(located(root) if root and "://" in root else Path(root or SHARDS))
    if root is None:
        cached = verify_cache(Path.cwd())
        whole, faults = whole + cached[0], faults + cached[1]
    print(*whole, sep="\n")
    if faults:
        sys.exit("\n".join(faults))


def _sources() -> None:
    for name, kind in SOURCES.items():
        print(f"{name}: {(kind.config.__doc__ or '').splitlines()[0]} Licence: {kind.licence}.")
        for section, config in (("fetch", kind.config), ("shard.cut", kind.cut)):
            fields = {key: field for key, field in config.model_fields.items() if key != "name"}
            described = (
                key if field.is_required() else f"{key}={_short(field.get_default(call_default_factory=True))}"
                for key, field in fields.items()
            )
            print(f"  {section}: {', '.join(described) or 'no params'}")


def _short(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "{" + ", ".join(value) + "}"
    if hasattr(value, "name"):
        return str(value.name)
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else repr(value)


def _use(file: Path, params: Path) -> None:
    try:
        old, fragment = params.read_text(), file.read_text()
    except FileNotFoundError as error:
        raise Fault(f"{error.filename}: not found") from None
    text = merge(old, fragment, str(file))
    parse_params(yaml.safe_load(text), f"{params} with {file}")
    write_text(params, text)
    print(f"{params}: took {', '.join(yaml.safe_load(fragment))} from {file}; next: dvc repro")


def merge(text: str, fragment: str, name: str) -> str:
    """A params text with the values of a fragment, the comments of both kept.

    A mapping that has a `name` (fetch, shard.cut, system) replaces the whole one in its place, since the keys
    beside belong to that choice; so does one written on a single line. Any other is merged key by key.

    Args:
        text: of params.yaml.
        fragment: of the file whose values win.
        name: of the fragment, for messages.

    Raises:
        Fault: the fragment is not YAML or not a mapping.
    """
    try:
        new = yaml.compose(fragment)
    except yaml.YAMLError as error:
        raise Fault(f"{name}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(new, yaml.MappingNode):
        raise Fault(f"{name}: not a mapping of params")
    return _merge(text, [], new, fragment.splitlines())


def _merge(text: str, path: list[str], new: yaml.MappingNode, lines: list[str]) -> str:
    """Take each key of `new`, which lies at `path`, into the text."""
    for key, value in new.value:
        # Line numbers move with every edit, so the place is looked up afresh; the texts are short.
        parent = _find(yaml.compose(text), path)
        old = next((pair for pair in parent.value if pair[0].value == key.value), None)
        both = old is not None and all(
            isinstance(node, yaml.MappingNode) and not node.flow_style for node in (old[1], value)
        )
        if both and "name" not in [inner.value for inner, _ in value.value]:
            text = _merge(text, [*path, key.value], value, lines)
            continue
        block = lines[key.start_mark.line : _last_line(value) + 1]
        column = parent.value[0][0].start_mark.column if parent.value else 0
        shift = column - key.start_mark.column
        block = [_shifted(line, shift) for line in block]
        kept = text.splitlines()
        if old is None:
            start = stop = _last_line(parent) + 1
        else:
            start, stop = old[0].start_mark.line, _last_line(old[1]) + 1
        text = "\n".join([*kept[:start], *block, *kept[stop:]]) + "\n"
    return text


def _shifted(line: str, shift: int) -> str:
    spaces = len(line) - len(line.lstrip(" "))
    return " " * max(0, spaces + shift) + line[spaces:] if line.strip() else line


def _find(node: Any, path: list[str]) -> Any:
    for part in path:
        node = next(value for key, value in node.value if key.value == part)
    return node


def _last_line(node: Any) -> int:
    """The last line that holds something of a node, comments and blank lines after it left out."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1])
    block_scalar = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return int(node.end_mark.line) - int(block_scalar)


if __name__ == "__main__":
    main()
