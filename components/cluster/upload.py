"""Upload: the project's code and params, packed for nodes that do not have them."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pathspec

from components.faults import Fault
from components.storage.files import atomic_path

MAX_BYTES = 20 << 20
_IGNORE_FILES = (".gitignore", ".rayignore")  # those that `ray job submit --working-dir .` goes by
_EPOCH = (1980, 1, 1, 0, 0, 0)  # one date for all members, so that equal files are an equal archive


@dataclass(frozen=True)
class Upload:
    """An archive of the project, and what is in it.

    Attributes:
        archive: a .zip, named by its content.
        num_files: in it.
        num_bytes: of those files, before compression.
    """

    archive: Path
    num_files: int
    num_bytes: int

    def __str__(self) -> str:
        packed = self.archive.stat().st_size
        return f"{self.num_files} files, {self.num_bytes / 1000:,.0f} kB ({packed / 1000:,.0f} kB packed)"


def pack(project: Path, into: Path) -> Upload:
    """Pack a project's files, less those that .gitignore and .rayignore name.

    Args:
        project: the folder of params.yaml.
        into: a folder for the archive; it need not exist.

    Raises:
        Fault: more than 20 MB, which is data that has not been ignored; the largest files are named.
    """
    files = listed(project)
    sizes = {path: path.stat().st_size for path in files}
    if sum(sizes.values()) > MAX_BYTES:
        largest = sorted(sizes, key=lambda path: sizes[path], reverse=True)[:3]
        names = ", ".join(f"{path.relative_to(project)} ({sizes[path] / 1e6:.1f} MB)" for path in largest)
        raise Fault(
            f"{project}: {sum(sizes.values()) / 1e6:.0f} MB to upload, over {MAX_BYTES >> 20} MB; "
            f"name in .rayignore what nodes do not need; largest: {names}"
        )
    contents = {path.relative_to(project).as_posix(): path.read_bytes() for path in files}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    archive = into / f"upload_{digest.hexdigest()[:16]}.zip"
    if not archive.exists():
        with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in contents.items():
                packed.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return Upload(archive, len(files), sum(sizes.values()))


def listed(project: Path) -> list[Path]:
    """The files of a project that .gitignore and .rayignore do not name, sorted."""
    patterns = [
        line
        for name in _IGNORE_FILES
        if (project / name).exists()
        for line in (project / name).read_text(encoding="utf-8").splitlines()
    ]
    ignored = pathspec.GitIgnoreSpec.from_lines(patterns)
    found: list[Path] = []
    pending = [project]
    while pending:
        for path in pending.pop().iterdir():
            name = path.relative_to(project).as_posix()
            if path.is_dir() and not path.is_symlink():
                if not ignored.match_file(f"{name}/"):
                    pending.append(path)
            elif path.is_file() and not ignored.match_file(name):
                found.append(path)
    return sorted(found)
