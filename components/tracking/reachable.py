"""Whether an MLflow can be reached, asked before its client is, which would try for minutes."""

import socket
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from components.faults import Fault
from components.storage.files import require_regular

URI = "MLFLOW_TRACKING_URI"
ADVICE = f"see that {URI} names a running server, or unset it to keep runs in .pix2pipe/mlflow.db"
MAKE = "`dvc repro register` makes it, `dvc repro -f -s register` from outputs that were pulled; or set " + URI
_ANSWER_SECONDS = 5
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def shown(uri: str) -> str:
    """An address without the password that may stand in it."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri  # taking it apart and together would cost sqlite:////absolute two of its slashes
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def require_there(uri: str) -> None:
    """Refuse to read a database that is not there; MLflow would make an empty one."""
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise Fault(f"{uri.removeprefix('sqlite:///')}: there is no registry; {MAKE}")


def require_reachable(uri: str) -> None:
    """Refuse a server that does not answer, and a file that is no database of sqlite.

    Raises:
        Fault: naming the address or the file.
        sqlite3.Error: the file is damaged.
    """
    scheme, path = urlsplit(uri).scheme.partition("+")[0], Path(uri.removeprefix("sqlite:///"))
    if scheme in ("http", "https"):
        _ask(uri)
    elif scheme in _PORTS:
        _knock(uri, _PORTS[scheme])
    elif uri.startswith("sqlite:///"):
        require_regular(path)
        if path.exists():
            with closing(sqlite3.connect(path, timeout=30)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _ask(uri: str) -> None:
    """Send the server a request: any status shows that it is there."""
    try:
        urllib.request.urlopen(shown(uri).rstrip("/") + "/health", timeout=_ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Fault(f"MLflow at {shown(uri)} does not answer ({reason}); {ADVICE}") from error


def _knock(uri: str, usual: int) -> None:
    """Connect to the server of a database."""
    try:
        place = urlsplit(uri)
        socket.create_connection((place.hostname or "localhost", place.port or usual), _ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise Fault(f"MLflow's database at {shown(uri)} does not answer ({error}); {ADVICE}") from error
