"""Commands about the perceptual study: study serve, study result, study simulate; docs/study.md."""

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.faults import Fault
from components.params import load_params
from components.serving.serving import serve
from components.storage.files import write_json
from components.storage.home import LOCAL
from components.study.algorithms import Algorithm, open_algorithms
from components.study.config import Settings
from components.study.result import FIGURE, as_lines, make_result
from components.study.shown import ShownPictures
from components.study.study import Study
from components.study.votes import Votes
from components.tracking.store import Store, open_store, tracking_uri
from components.tracking.study import log_study

SHARDS, GENERATED = Path("data/shards"), Path("data/generated")
WORK = LOCAL / "study"
VOTES, RESULT = WORK / "votes.db", Path("data/study/result.json")


def serve_study(chosen: argparse.Namespace) -> None:
    """The command `study serve`."""
    settings, algorithms, pictures = _opened(chosen, chosen.codes is not None)
    # Imported here: the other commands need no web server.
    from components.study.app import make_app

    with closing(Votes(chosen.votes or VOTES)) as votes:
        study = Study(settings, algorithms, pictures, votes)
        if chosen.codes is not None:
            for code, used in study.invite(min(chosen.codes, settings.participants)).items():
                print(f"{code}{'  (joined)' if used else ''}")
            sys.stdout.flush()
        names = " and ".join(algorithm.name for algorithm in algorithms)
        serve(make_app(study, chosen.host, chosen.name), chosen.host, chosen.port, f"the study of {names}")


def simulate_study(chosen: argparse.Namespace) -> None:
    """The command `study simulate`."""
    from components.study.simulate import Crowd, simulate

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


def _opened(chosen: argparse.Namespace, invited: bool) -> tuple[Settings, list[Algorithm], ShownPictures]:
    try:
        values = {name: getattr(chosen, name) for name in Settings.model_fields if name != "invited"}
        settings = Settings(**values, invited=invited)
    except ValidationError as error:
        first = error.errors()[0]
        raise Fault(f"--{first['loc'][0]} {first['input']}: {first['msg'].lower()}".replace("_", "-")) from error

    def store() -> Store:
        return open_store(tracking_uri(LOCAL), LOCAL, load_params(chosen.params).register_.experiment, make=False)

    algorithms = open_algorithms(chosen.algorithm, GENERATED, SHARDS, chosen.direction, WORK, store)
    return settings, algorithms, ShownPictures(SHARDS, algorithms)


def write_result(chosen: argparse.Namespace) -> None:
    """The command `study result`."""
    path, out, params = chosen.votes or VOTES, chosen.out or RESULT, chosen.params
    if not path.exists():
        raise Fault(f"{path}: not found; start a study with pix2pipe study serve")
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
