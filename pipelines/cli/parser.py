"""Every command of pix2pipe: its arguments, what it does, and an example. Nothing heavy is imported here.

Each command names its function as `module:function` of this package, so that help needs no import of torch or MLflow.
"""

import argparse
from importlib.metadata import version
from pathlib import Path

from components.study.config import Settings
from pipelines.cli.command import Commands, add_command, add_params
from pipelines.cli.uses import add_uses

TABLES = Path("tables/params.yaml")


def make_parser() -> argparse.ArgumentParser:
    """The parser; its result has `run`, the address of the function to call with it."""
    parser = argparse.ArgumentParser(
        prog="pix2pipe",
        description="Commands beside the graph, whose stages are run by dvc repro.",
        epilog="pix2pipe COMMAND --help describes a command and gives an example. docs/index.md lists the docs.",
    )
    parser.add_argument("--version", action="version", version=f"pix2pipe {version('pix2pipe')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (_data, _jobs, _review, add_uses, _study):
        group(commands)
    return parser


def _data(commands: Commands) -> None:
    command = add_command(
        commands,
        "verify",
        "data:verify_all",
        "Check every byte of the shards and of DVC's cache.",
        "pix2pipe verify s3://bucket/shards",
        "It names each damaged file and says how to restore it; the exit status is 1 if there is one.",
    )
    command.add_argument("root", nargs="?", help="check only these shards: a folder, or an address at s3://")
    lists = "List where pictures can come from, and their params."
    add_command(commands, "sources", "data:list_sources", lists, "pix2pipe sources")
    command = add_command(
        commands,
        "use",
        "data:use",
        "Copy the sections of a file such as configs/facades.yaml into params.yaml.",
        "pix2pipe use configs/facades.yaml",
        "Each section that the file names is first set back to configs/default.yaml. Comments stay, and every value "
        "that "
        "changes is printed. To go back to the defaults, use configs/default.yaml itself.",
    )
    command.add_argument("file", type=Path, help="the file whose sections are copied")
    command.add_argument(
        "--keep",
        action="store_true",
        help="change only the values in the file and keep all others, as for data/tune/winner.yaml",
    )
    add_params(command)


def _jobs(commands: Commands) -> None:
    command = add_command(
        commands,
        "spread",
        "spread:spread_cells",
        "Train the cells of the papers' tables as parallel tasks of Ray.",
        "pix2pipe spread l1 l1_cgan --cpus 1",
        "dvc --cd tables repro then only measures them.",
    )
    command.add_argument("runs", nargs="*", metavar="RUN", help="default: all runs of cells.run")
    command.add_argument("--cpus", type=int, default=1, help="CPUs for each run; default: 1")
    add_params(command, TABLES)
    command = add_command(
        commands,
        "submit",
        "jobs:submit_job",
        "Run stages as a job on the cluster at RAY_API_SERVER_ADDRESS.",
        "RAY_API_SERVER_ADDRESS=http://head:8265 PIX2PIPE_ROOT=s3://bucket/p pix2pipe submit train generate",
        "It prints the job's log and exits with the job's status; after Ctrl-C the job goes on.",
    )
    command.add_argument("stages", nargs="*", metavar="STAGE", help="default: the whole graph")
    command.add_argument("--detach", action="store_true", help="print the job's id and do not wait for its end")
    follows = "Follow a job's log to its end and copy its results here."
    command = add_command(commands, "attach", "jobs:attach_job", follows, "pix2pipe attach pix2pipe-3f2a")
    command.add_argument("job", help="the job's id, as pix2pipe jobs lists it")
    ends = "End a job; what it has finished is kept."
    command = add_command(commands, "stop", "jobs:stop_job", ends, "pix2pipe stop pix2pipe-3f2a")
    command.add_argument("job", help="the job's id, as pix2pipe jobs lists it")
    add_command(
        commands, "jobs", "jobs:list_jobs", "List the cluster's jobs of this project, newest last.", "pix2pipe jobs"
    )


def _review(commands: Commands) -> None:
    command = add_command(
        commands,
        "review",
        "review:show",
        "List the versions of the model, or show one beside the champion.",
        "pix2pipe review candidate",
        "The verdict is written to the version in the registry, and a page with pictures to .pix2pipe/review.",
    )
    command.add_argument("version", nargs="?", help="the version: its number or an alias; default: list all")
    _of_model(command)
    command = add_command(
        commands,
        "promote",
        "review:promote_version",
        "Make a reviewed version the champion.",
        'pix2pipe promote candidate --by Ann --why "cleaner coasts"',
    )
    command.add_argument("version", help="the version: its number or an alias")
    command.add_argument("--override", action="store_true", help="promote it although the gate did not pass it")
    _of_model(command, signed=True)
    command = add_command(
        commands,
        "rollback",
        "review:roll_back",
        "Undo a promotion: make the previous champion the champion again.",
        'pix2pipe rollback 3 --by Bo --why "streaks on water"',
        "Nothing is undone if another version has become the champion by now.",
    )
    command.add_argument("version", help="the number of the champion whose promotion is undone")
    _of_model(command, signed=True)


def _of_model(command: argparse.ArgumentParser, signed: bool = False) -> None:
    if signed:
        command.add_argument("--by", required=True, metavar="NAME", help="who decides; this is recorded")
        command.add_argument("--why", required=True, metavar="TEXT", help="for what reason; this is recorded")
    command.add_argument("--model", help="default: register.model of the params")
    add_params(command)


def _study(commands: Commands) -> None:
    study = commands.add_parser(
        "study",
        help="ask people which pictures are real; docs/study.md",
        description="Ask people which pictures are real, as the papers do; docs/study.md.",
        epilog="example: pix2pipe study serve --participants 20 --codes 20",
    )
    actions = study.add_subparsers(required=True, metavar="ACTION")
    command = add_command(
        actions,
        "serve",
        "study:serve_study",
        "Serve the study's page until Ctrl-C; votes are kept as they come.",
        "pix2pipe study serve --participants 20 --codes 20",
    )
    _settings(command)
    command.add_argument("--codes", type=int, metavar="N", help="print N codes; each participant needs one to join")
    command.add_argument("--votes", type=Path, help="the study's file; default: .pix2pipe/study/votes.db")
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    command.add_argument("--port", type=int, default=8001, help="default: 8001; 0: any that is free")
    command.add_argument("--name", action="append", default=[], help="another name by which people reach this machine")
    writes = "Write the result of the votes, for dvc metrics, the report and MLflow."
    command = add_command(actions, "result", "study:write_result", writes, "pix2pipe study result")
    command.add_argument("--votes", type=Path, help="default: .pix2pipe/study/votes.db")
    command.add_argument("--out", type=Path, help="default: data/study/result.json")
    add_params(command, why="for register.experiment; ")
    command = add_command(
        actions,
        "simulate",
        "study:simulate_study",
        "Run a study with scripted participants, and see whether it finds how well they see.",
        "pix2pipe study simulate --acuity 0.8 --careless 0.1",
    )
    _settings(command)
    command.add_argument(
        "--acuity",
        action="append",
        default=[],
        metavar="[NAME=]SHARE",
        help="how often they recognise the real picture, 0.5 to 1, for all algorithms or for one; default: 0.75",
    )
    command.add_argument("--careless", type=float, default=0.0, help="the share who answer without looking; default: 0")
    command.add_argument("--leaving", type=float, default=0.0, help="the share who leave half-way; default: 0")
    command.add_argument("--seed", type=int, default=0, help="the seed of everything random; default: 0")


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--algorithm",
        action="append",
        default=[],
        metavar="NAME=PATH|MODEL@VERSION",
        help="an algorithm whose pictures are shown; repeat it for several; default: data/generated",
    )
    command.add_argument("--direction", help="such as photo_to_labels; default: the first algorithm's own")
    for name, help_ in (
        ("participants", "how many may join in all"),
        ("practice", "pairs with feedback at the start"),
        ("trials", "pairs that count"),
        ("vigilance", "obvious fakes among them"),
        ("max-missed", "obvious fakes that a participant may miss before being set aside"),
    ):
        default = Settings.model_fields[name.replace("-", "_")].default
        command.add_argument(f"--{name}", type=int, default=default, help=f"{help_}; default: {default}")
    add_params(command, why="for register.experiment; ")
