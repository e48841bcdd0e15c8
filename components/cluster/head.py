"""Head: reports that Ray itself is gone, before Ray ends this process."""

import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from components.faults import Fault

_EVERY_S = 2.0
_PATIENCE_S = 5.0
_TRIES = 3  # in a row
_LOST_S = 4 * _EVERY_S  # by then the watch has seen what is lost
_ADVICE = "start it again, then run dvc repro to go on from the last checkpoint"
Address = tuple[str, int]


@contextmanager
def head_watched() -> Iterator[None]:
    """Watch Ray's head and this node's Ray during the block, and report when one of them is gone.

    No run can go on without them. Ray then ends every process that is connected to it, also this one, with status 1,
    from a thread of its own and without an exception: within seconds if the node's part is lost, after a minute if the
    head is. All that can be done is to say beforehand what happens and what to do.

    Raises:
        Fault: the process that leads the run, on whichever node, is lost before Ray ends this one.
    """
    import ray

    context = ray.get_runtime_context()
    head, _, port = context.gcs_address.rpartition(":")
    places = {f"Ray's head at {head}:{port}": (head, int(port))}
    for node in ray.nodes():
        if node["NodeID"] == context.get_node_id():
            address = str(node["NodeManagerAddress"])
            places[f"Ray on this node ({address})"] = (address, int(node["NodeManagerPort"]))
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(places, stop), name="head", daemon=True)
    thread.start()
    try:
        yield
    except ray.exceptions.RayActorError as error:
        thread.join(_LOST_S)  # where it is by the head, that is said first
        reason = str(error).splitlines()[0]
        advice = "see that the cluster is whole, then run dvc repro to go on from the last checkpoint"
        raise Fault(f"Ray lost the process that leads the run ({reason}); {advice}") from error
    finally:
        stop.set()
        thread.join()


def watch(places: Mapping[str, Address], stop: threading.Event, every_s: float = _EVERY_S) -> None:
    """Try each place until `stop` is set, or until one has failed to answer three times in a row, which is reported."""
    missed = dict.fromkeys(places, 0)
    while not stop.wait(every_s):
        for name, address in places.items():
            missed[name] = 0 if _answers(address) else missed[name] + 1
            if missed[name] == _TRIES:
                print(f"ray: {name} is gone, and this run with it; {_ADVICE}", file=sys.stderr)  # noqa: T201
                return


def _answers(address: Address) -> bool:
    try:
        socket.create_connection(address, timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True
