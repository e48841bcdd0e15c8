"""Which files are samples where a table says of each picture which attributes it has."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.faults import Fault
from components.samples.source import SPLITS
from components.sources.folder_config import FolderConfig
from components.sources.keys import sample_keys
from components.sources.layout import ALIASES, files_below, hold_out, named, refuse_poured, split_folder

TABLE = "attributes.csv"
_LONGEST_CELL = 40  # characters of a cell that messages show


@dataclass(frozen=True, slots=True)
class Attributed:
    """The file of one sample, below the folder of pictures, and 0 or 1 for each attribute."""

    key: str
    file: str
    kind: tuple[int, ...]


def find_attributes(pictures: Path, config: FolderConfig) -> dict[str, list[Attributed]]:
    """The samples of each split, sorted by key: every picture below the folder of attributes.csv, each with its row;
    val and test, where no folder is called so, are held out of train.

    The first line of the table names its columns. The first column holds the path of a picture from the folder of the
    table, the others 0 or 1; those that `fetch.b.classes` names are taken.

    Raises:
        Fault: there is no table or more than one, it has no such column, a row names a picture that is not there or
            was named before, a value is neither 0 nor 1, or a picture has no row.
    """
    files = files_below(pictures)
    tables = [name for name in files if PurePosixPath(name).name.lower() == TABLE]
    if len(tables) != 1:
        said = f"there are {' and '.join(tables[:2])}" if tables else "there is none"
        raise Fault(f"fetch.layout: attributes wants one {TABLE} beside the pictures, and {said}")
    table = tables[0]
    prefix = PurePosixPath(table).parent
    base = f"{prefix}/" if str(prefix) != "." else ""
    there = [name.removeprefix(base) for name in files if name.startswith(base) and not name.lower().endswith(".csv")]
    rows = read_table(pictures / table, table, config.b.classes, frozenset(there), "fetch.b.classes")
    if strays := [name for name in files if not name.startswith(base) and not name.lower().endswith(".csv")]:
        raise Fault(f"{strays[0]}: lies outside of the folder of {table}; move the table above all pictures")
    if rowless := [name for name in there if name not in rows]:
        more = f", nor have {len(rowless) - 1} more" if len(rowless) > 1 else ""
        raise Fault(f"{table}: {base}{rowless[0]} has no row{more}; add one, or remove the picture")
    names = {**ALIASES, **config.splits}
    if unknown := sorted(set(config.splits) - {split_folder(name) for name in there}):
        raise Fault(f"fetch.splits: no pictures in a folder {unknown[0]} beside {table}")
    refuse_poured({split_folder(name) for name in there}, config)
    places = named(there)
    splits: dict[str, list[Attributed]] = {split: [] for split in SPLITS}
    for key, file in zip(sample_keys(list(places)), places.values(), strict=True):
        splits[names.get(split_folder(file), "train")].append(Attributed(key, f"{base}{file}", rows[file]))
    return hold_out({split: sorted(ones, key=lambda one: one.key) for split, ones in splits.items()}, config.holdout)


def read_table(
    path: Path, name: str, wanted: tuple[str, ...], there: frozenset[str], whose: str
) -> Mapping[str, tuple[int, ...]]:
    """Of each picture that the table names, its path and the values of the wanted columns.

    Args:
        name: of the table, for messages. wanted: attributes. there: the pictures, by their paths from its folder.
        whose: what names the attributes, for messages.

    Raises:
        Fault: as `find_attributes`, but not of pictures without a row.
    """
    found: dict[str, tuple[int, ...]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = [column.strip() for column in next(lines, [])]
            places = _places(name, header, wanted, whose)
            for row in lines:
                if not row:
                    continue
                where = f"{name}, line {lines.line_num}"
                if len(row) != len(header):
                    raise Fault(f"{where}: has {len(row)} columns, and the first line {len(header)}")
                picture = row[0].strip()
                if picture not in there:
                    raise Fault(f"{where}: there is no picture {_short(picture)}; remove the row, or add the picture")
                if picture in found:
                    raise Fault(f"{where}: {picture} has a row before; leave it one")
                cells = {column: row[place].strip() for column, place in places.items()}
                if strange := next((column for column, cell in cells.items() if cell not in ("0", "1")), None):
                    raise Fault(f"{where}: {strange} of {picture} is {_short(cells[strange])}, neither 0 nor 1")
                found[picture] = tuple(int(cell) for cell in cells.values())
    except (csv.Error, UnicodeDecodeError) as error:
        raise Fault(f"{name}: is no table in UTF-8 with commas ({error}); write it again") from error
    return found


def _places(name: str, header: list[str], wanted: tuple[str, ...], whose: str) -> dict[str, int]:
    """Where in a row each wanted column stands."""
    for column in wanted:
        if header[1:].count(column) != 1:
            what = "stands twice in its first line" if column in header[1:] else "is not in its first line"
            raise Fault(f"{name}: the attribute {column} of {whose} {what}, {_short(', '.join(header), 200)}")
    return {column: header.index(column, 1) for column in wanted}


def _short(cell: str, most: int = _LONGEST_CELL) -> str:
    return repr(cell if len(cell) <= most else f"{cell[:most]}...")
