"""One file from the web: resumed where it broke off, tried again, and kept only if its sha256 is right."""

import http.client
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tqdm import tqdm

from components.faults import Fault
from components.storage.files import faults_of_the_disk, sha256_file

_ATTEMPTS = 5
_CHUNK = 1 << 18
_TIMEOUT = 60.0
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
# Answers that another try will not change.
_FINAL = frozenset({400, 401, 403, 404, 405, 410, 451})


def download(url: str, sha256: str, cache: Path, max_bytes: int, wait: float = 1.0, section: str = "fetch") -> Path:
    """The file of a URL in the cache, downloaded if it is not there whole.

    What has been downloaded is kept in a .part file and is continued by an HTTP range, in this run or the next. There
    are 5 attempts, with a pause of `wait` seconds that doubles each time. `section` of the params names the URL.

    Raises:
        Fault: not https, the server refuses, the file is too large or its sha256 is another.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOCAL:
        raise Fault(f"{section}.path: {url} is not https; give an https URL, a folder or an archive")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(urllib.parse.unquote(parts.path)).name)[-100:] or "download"
    path = cache / f"{sha256[:16]}-{name}"
    part = path.with_name(path.name + ".part")
    with faults_of_the_disk(path):
        cache.mkdir(parents=True, exist_ok=True)
        if path.is_file() and sha256_file(path) == sha256:
            return path
        for attempt in range(_ATTEMPTS):
            try:
                _continue(url, part, max_bytes)
                break
            except urllib.error.HTTPError as error:
                reason = f"the server answers {error.code} {error.reason}"
                if error.code in _FINAL:
                    raise Fault(f"{url}: {reason}") from error
            except urllib.error.URLError as error:
                reason = str(error.reason)
            except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            if attempt + 1 == _ATTEMPTS:
                raise Fault(f"{url}: {reason}; run again to go on from {_size(part):,} bytes")
            tqdm.write(f"{url}: {reason}; trying again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
            wait *= 2
        found = sha256_file(part)
        if found != sha256:
            part.unlink()
            raise Fault(f"{url}: its sha256 is {found}, {section}.sha256 says {sha256}; nothing was kept")
        part.replace(path)
    return path


def _continue(url: str, part: Path, max_bytes: int) -> None:
    """Fetch what is missing of `part`."""
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers | {"User-Agent": "pix2pipe"})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing, or the file is another one now: the hash will tell
            return
        raise
    with answer:
        if answer.status != 206:  # the server does not know ranges
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        if (total or 0) > max_bytes:
            raise Fault(_too_large(url, max_bytes))
        label = Path(part.name).stem
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=label) as bar,
        ):
            while chunk := answer.read(_CHUNK):
                have += len(chunk)
                if have > max_bytes:
                    raise Fault(_too_large(url, max_bytes))
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and have < total:
            raise ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _too_large(url: str, max_bytes: int) -> str:
    return f"{url}: more than {max_bytes:,} bytes; raise fetch.max_gigabytes if that is right"
