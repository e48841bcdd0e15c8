"""Commands about the perceptual study: study serve, study result, study simulate; docs/study.md."""

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.faults import Fault
from components.files import write_json
from components.home import LOCAL
from components.pages.serving import serve
from components.pages.study.algorithms import Algorithm, open_algorithms
from components.pages.study.config import Settings
from components.pages.study.pictures import Pictures
from components.pages.study.result import FIGURE, as_lines, make_result
from components.pages.study.study import Study
from components.pages.study.votes import Votes
from components.params import load_params
from components.tracking.store import Store, open_store, tracking_uri
from components.tracking.study import log_study

PARAMS = Path("params.yaml")
SHARDS, GENERATED = Path("data/shards"), Path("data/generated")
WORK = LOCAL / "study"
VOTES, RESULT = WORK / "votes.db", Path("study/result.json")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands of this file."""
    study = commands.add_parser("study", help="ask people which pictures are real; docs/study.md")
    actions = study.add_subparsers(required=True, metavar="ACTION")

    command = actions.add_parser("serve", help="serve the study's page until Ctrl-C; votes are kept as they come")
    _add_settings(command)
    command.add_argument("--codes", type=int, metavar="N", help="joining takes one of N codes, which are printed")
    command.add_argument("--votes", type=Path, default=VOTES, help=f"the study's file; default: {VOTES}")
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    command.add_argument("--port", type=int, default=8001, help="default: 8001; 0: any that is free")
    command.add_argument("--name", action="append", default=[], help="by which else people reach this machine")
    command.set_defaults(run=_serve)

    command = actions.add_parser("result", help="write what the votes say, for dvc metrics, the report and MLflow")
    command.add_argument("--votes", type=Path, default=VOTES, help=f"default: {VOTES}")
    command.add_argument("--out", type=Path, default=RESULT, help=f"default: {RESULT}")
    command.add_argument("--params", type=Path, default=PARAMS, help="for register.experiment; default: params.yaml")
    command.set_defaults(run=lambda chosen: _result(chosen.votes, chosen.out, chosen.params))

    command = actions.add_parser("simulate", help="let scripted participants take part, and see whether it is found")
    _add_settings(command)
    command.add_argument(
        "--acuity",
        action="append",
        default=[],
        metavar="[NAME=]SHARE",
        help="how often they tell which is real, 0.5 to 1; of all algorithms or of one; default: 0.75",
    )
    command.add_argument("--careless", type=float, default=0.0, help="the share who do not look; default: 0")
    command.add_argument("--leaving", type=float, default=0.0, help="the share who leave half-way; default: 0")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=_simulate)


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--algorithm",
        action="append",
        default=[],
        metavar="NAME=PATH|MODEL@VERSION",
        help=f"whose pictures are shown, again for each; default: {GENERATED}",
    )
    command.add_argument("--direction", help="such as photo_to_labels; default: the first algorithm's own")
    for name, help_ in (
        ("participants", "who may join, in all"),
        ("practice", "pairs with feedback at the start"),
        ("trials", "pairs that count"),
        ("vigilance", "obvious fakes among them"),
        ("max-missed", "of those; who misses more is set aside"),
    ):
        default = Settings.model_fields[name.replace("-", "_")].default
        command.add_argument(f"--{name}", type=int, default=default, help=f"{help_}; default: {default}")
    command.add_argument("--params", type=Path, default=PARAMS, help="for register.experiment; default: params.yaml")


def _serve(chosen: argparse.Namespace) -> None:
    settings, algorithms, pictures = _opened(chosen, chosen.codes is not None)
    # Imported here: the other commands need no web server.
    from components.pages.study.app import make_app

    with closing(Votes(chosen.votes)) as votes:
        study = Study(settings, algorithms, pictures, votes)
        if chosen.codes is not None:
            for code, used in study.invite(min(chosen.codes, settings.participants)).items():
                print(f"{code}{'  (joined)' if used else ''}")
            sys.stdout.flush()
        names = " and ".join(algorithm.name for algorithm in algorithms)
        serve(make_app(study, chosen.host, chosen.name), chosen.host, chosen.port, f"the study of {names}")


def _simulate(chosen: argparse.Namespace) -> None:
    from components.pages.study.simulate import Crowd, simulate

    settings, algorithms, pictures = _opened(chosen, False)
    pictures.require(settings.pairs)
    acuity = dict.fromkeys((algorithm.name for algorithm in algorithms), 0.75)
    for text in chosen.acuity:
        name, _, share = text.rpartition("=")
        if name and name not in acuity:
            raise Fault(f"--acuity {text}: there is no algorithm {name}; there are {', '.join(acuity)}")
        acuity |= dict.fromkeys([name] if name else acuity, _share("--acuity", share))
    shares = [_share(f"--{name}", getattr(chosen, name)) for name in ("careless", "leaving")]
    crowd = Crowd(settings.participants, acuity, *shares)
    result = simulate(settings, algorithms, pictures, crowd, chosen.seed)
    print(*as_lines(result), sep="\n")
    print("simulated:", ", ".join(f"{name} {100 * (1 - share):.1f} %" for name, share in acuity.items()))


def _share(what: str, text: str | float) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise Fault(f"{what} {text}: give a share between 0 and 1")
    return share


def _opened(chosen: argparse.Namespace, invited: bool) -> tuple[Settings, list[Algorithm], Pictures]:
    try:
        values = {name: getattr(chosen, name) for name in Settings.model_fields if name != "invited"}
        settings = Settings(**values, invited=invited)
    except ValidationError as error:
        first = error.errors()[0]
        raise Fault(f"--{first['loc'][0]} {first['input']}: {first['msg'].lower()}".replace("_", "-")) from error

    def store() -> Store:
        return open_store(tracking_uri(LOCAL), LOCAL, load_params(chosen.params).register_.experiment, make=False)

    algorithms = open_algorithms(chosen.algorithm, GENERATED, SHARDS, chosen.direction, WORK, store)
    return settings, algorithms, Pictures(SHARDS, algorithms)


def _result(path: Path, out: Path, params: Path) -> None:
    if not path.exists():
        raise Fault(f"{path}: not found; begin a study with pix2pipe study serve")
    with closing(Votes(path)) as votes:
        result = make_result(votes)
    write_json(out, result, in_order=True)
    print(*as_lines(result), sep="\n")
    known = "; dvc metrics show has it, and dvc repro report shows it" if out.resolve() == RESULT.resolve() else ""
    print(f"study: wrote {out}{known}", file=sys.stderr)
    uri = tracking_uri(LOCAL)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return
    store = open_store(uri, LOCAL, load_params(params).register_.experiment)
    for name, row in result["algorithms"].items():
        if FIGURE in row:
            print(f"study: {name}: {_logged(store, row, result['protocol'])}", file=sys.stderr)


def _logged(store: Store, row: dict[str, Any], protocol: dict[str, Any]) -> str:
    lineage, figure = row["lineage"], row[FIGURE]
    start = f"{protocol['direction']}/study" if lineage["reverse"] else "study"
    figures = {f"{start}/{FIGURE}": figure["value"], f"{start}/participants": float(row["participants"])}
    figures |= {f"{start}/{FIGURE}.{end}": figure[end] for end in ("low", "high")}
    run_id = log_study(store, lineage["key"], lineage["run"], figures, protocol["hash"])
    return f"in MLflow, run {run_id}" if run_id else "MLflow has no run of it"
