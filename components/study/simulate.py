"""Simulation: scripted participants of known acuity take part over real HTTP; does the study find their rate?"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from components.storage.scratch import scratch
from components.study.algorithms import Algorithm
from components.study.app import make_app
from components.study.client import Client
from components.study.config import SIDES, Settings
from components.study.result import make_result
from components.study.shown import ShownPictures
from components.study.study import Study
from components.study.votes import Votes


@dataclass(frozen=True)
class Crowd:
    """Who takes part.

    Attributes:
        acuity: of each algorithm, the chance that a careful participant tells which picture is real.
        careless: the share of participants who press either key without looking.
        leaving: the share who close the page half-way.
    """

    participants: int
    acuity: Mapping[str, float]
    careless: float = 0.0
    leaving: float = 0.0


def simulate(
    settings: Settings, algorithms: list[Algorithm], pictures: ShownPictures, crowd: Crowd, seed: int = 0
) -> dict[str, Any]:
    """Hold a whole study with scripted participants, on a server and a database of its own; gives its result.

    They recognise the real picture by the pixels alone: each knows all true and all generated pictures, and then makes
    mistakes as often as its acuity says.
    """
    real = set(pictures.everything())
    made = {name for algorithm in algorithms for name in pictures.everything(algorithm.name)}
    with scratch() as folder:
        votes = Votes(Path(folder) / "votes.db")
        study = Study(settings, algorithms, pictures, votes, Random(seed))
        with running(study) as port:
            for number in range(crowd.participants):
                _take_part(port, study, crowd, number, Random(f"{seed} {number}"), real, made)
        result = make_result(votes)
        votes.close()
        return result


@contextmanager
def running(study: Study) -> Iterator[int]:
    """A server of the study on loopback, in a thread; gives its port."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(make_app(study, "127.0.0.1"), log_level="warning", server_header=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="study", daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def _take_part(
    port: int, study: Study, crowd: Crowd, number: int, random: Random, real: set[bytes], made: set[bytes]
) -> None:
    client = Client(port)
    client.post("/api/join", {"code": None})
    careless = number < round(crowd.careless * crowd.participants)
    leaves = number >= crowd.participants - round(crowd.leaving * crowd.participants)
    standing = study.votes.standing(client.cookie.partition("=")[2])
    acuity = crowd.acuity[standing.algorithm] if standing else 0.0  # whose eyes these are, not what they see
    for _ in range(study.settings.pairs // 2 if leaves else study.settings.pairs):
        pair, left, right = client.look()
        side = SIDES[random.randrange(2)]
        if not careless and (left in real) != (right in real):
            truth, fake = (0, right) if left in real else (1, left)
            seen = fake not in made or random.random() < acuity
            side = SIDES[truth if seen else 1 - truth]
        client.vote(pair["position"], side)
    client.close()
