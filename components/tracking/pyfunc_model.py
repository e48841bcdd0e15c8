"""The registered model's code: MLflow copies this file into the model and runs it when the model is loaded.

Weights are safetensors and the architecture is rebuilt from generator.json, so nothing is unpickled.
"""

import base64
import binascii
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
from mlflow.exceptions import MlflowException
from PIL import Image

from components.faults import Fault
from components.models.card import Card
from components.models.generator import Generator
from components.samples.condition import parse_condition
from components.samples.domain import Domain, points_of_bytes
from components.storage.files import read_json, sha256_file

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class GeneratorModel(mlflow.pyfunc.PythonModel):
    """uint8 pictures or float32 points out, as `Generator` makes them, of uint8 pictures or of seeds and conditions."""

    def load_context(self, context: Any) -> None:
        """Load the translator from the model's artifacts.

        Raises:
            MlflowException: the card or the weights are not those that were registered.
        """
        card = Path(context.artifacts["card"])
        try:
            expected = read_json(Path(context.artifacts["registered"]))["card_sha256"]
            if (found := sha256_file(card)) != expected:
                raise Fault(f"{card}: has the sha256 {found[:12]}, and was registered with {expected[:12]}")
            self._generator = Generator.load(card.parent)
        except Fault as fault:
            raise MlflowException.invalid_parameter_value(str(fault)) from fault

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: np.ndarray,  # the one annotation that MLflow neither checks by nor warns about
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> np.ndarray:
        """Make a batch.

        Args:
            model_input: of a model that translates, a uint8 array (N, H, W) of class indices or (N, H, W, 3) of RGB,
                as the source is; or PNG bytes, one or a list; or {"png": [...]} or a DataFrame with such a column. What
                comes as JSON may be nested lists of integers, and base64 text for PNG bytes. Of one that makes pictures
                from noise, {"seed": [...]}, a DataFrame with such a column, or a list of integers; where it takes a
                condition, a further column "condition" holds the name of a class, or of attributes with commas between
                them, or "none"; of StyleGAN, "truncation" may
                say how far each picture goes from the average one. Of one that shows a picture in another class,
                columns "png" and "condition" and, where it takes the style from another picture, a column "reference"
                of PNGs; or {"picture": uint8 array, "condition": [...], "reference": uint8 array}.

        Returns:
            uint8 array, (N, H, W, 3) for an image target, (N, H, W) for labels; of points float32 (N, 2).

        Raises:
            MlflowException: naming the picture at fault by its index.
        """
        try:
            generator = self._generator
            if {"source", "condition"} <= generator.needs:
                pictures, asked, references = to_asked(model_input, generator.card)
                return generator.make(sources=pictures, conditions=asked, references=references, padded=False)
            if "source" in generator.needs:
                return generator.translate(to_batch(model_input, generator.source), padded=False)
            seeds, conditions = to_seeds(model_input, generator.card.condition)
            truncations = to_truncations(model_input)
            made = generator.make(seeds=seeds, conditions=conditions, truncations=truncations, padded=False)
            return points_of_bytes(made) if generator.target.kind == "point" else made
        except Fault as fault:
            raise MlflowException.invalid_parameter_value(str(fault)) from fault


def to_seeds(given: Any, condition: Domain | None) -> tuple[list[int], np.ndarray | None]:
    """Seeds, and the conditions that are asked for, (N, ...), where the model takes them.

    Raises:
        Fault: a column is missing or unknown, a seed is no integer from 0 on, or a condition is no class.
    """
    wanted = {"seed"} | ({"condition"} if condition else set())
    if not (isinstance(given, Mapping) or hasattr(given, "columns")):
        given = {"seed": given}
    if set(given) - {"truncation"} != wanted:
        raise Fault(f"the columns {' and '.join(sorted(wanted))} are taken, not {', '.join(sorted(map(str, given)))}")
    seeds = np.atleast_1d(np.asarray(given["seed"]))
    if seeds.ndim != 1 or seeds.dtype.kind not in "iu" or (seeds < 0).any():
        raise Fault("seeds are integers from 0 to 2^63 - 1")
    if condition is None:
        return seeds.tolist(), None
    return seeds.tolist(), to_conditions(given["condition"], condition)


def to_truncations(given: Any) -> list[float] | None:
    """The column `truncation`, None where there is none.

    Raises:
        Fault: it holds anything but numbers.
    """
    if not (isinstance(given, Mapping) or hasattr(given, "columns")) or "truncation" not in given:
        return None
    values = np.atleast_1d(np.asarray(given["truncation"]))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise Fault("truncation: numbers from -1 to 1 are taken")
    return [float(value) for value in values]


def to_asked(given: Any, card: Card) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Pictures uint8 (N, H, W, 3), the conditions that they are to be shown in, (N, ...), and the pictures in whose
    style, (N, H, W, 3), where the model takes such.

    Raises:
        Fault: a column is missing or unknown; a picture is not one of the source; or a condition is no class.
    """
    assert card.source is not None
    assert card.condition is not None
    columns = set(map(str, given)) if isinstance(given, Mapping) or hasattr(given, "columns") else set()
    beside = {"condition"} | ({"reference"} if card.task.reference else set())
    if columns not in ({"png", *beside}, {"picture", *beside}):
        found = ", ".join(sorted(columns)) or "none"
        names = " and ".join(["png (or picture)", *sorted(beside)])
        raise Fault(f"the columns {names} are taken, not {found}")
    batch = to_batch(_column(given, "png" if "png" in columns else "picture"), card.source)
    conditions, references = to_conditions(given["condition"], card.condition), None
    if card.task.reference:
        references = to_batch(_column(given, "reference"), card.target)
    if len({len(batch), len(conditions), len(batch if references is None else references)}) > 1:
        raise Fault(f"there are {len(batch)} pictures and not as many of {' and '.join(sorted(beside))}")
    return batch, conditions, references


def _column(given: Any, name: str) -> Any:
    """One column, of a DataFrame as a list."""
    column = given[name]
    return column.tolist() if hasattr(column, "tolist") and not isinstance(column, np.ndarray) else column


def to_conditions(given: Any, condition: Domain) -> np.ndarray:
    """Conditions as samples hold them, (N, ...), of their text (`parse_condition`).

    Raises:
        Fault: one is no class, or names what is no attribute.
    """
    asked = [parse_condition(condition, str(text)) for text in np.atleast_1d(np.asarray(given))]
    return np.stack(asked) if asked else np.empty((0, *condition.shape), np.uint8)


def to_batch(pictures: Any, domain: Domain) -> np.ndarray:
    """Any accepted form as uint8 (N, H, W[, 3]).

    Raises:
        Fault: it is of no accepted form, or a picture is not one of the domain.
    """
    if isinstance(pictures, Mapping) or hasattr(pictures, "columns"):
        columns = list(pictures)
        if columns != ["png"]:
            raise Fault(f"one column `png` is taken, not {', '.join(map(str, columns)) or 'none'}")
        pictures = pictures["png"]
    if isinstance(pictures, (bytes, bytearray, str)):
        pictures = [pictures]
    if not isinstance(pictures, np.ndarray) or pictures.dtype == object:
        pictures = list(pictures)
        if all(isinstance(item, (bytes, bytearray, str)) for item in pictures):
            decoded = [_decode(item, i, domain) for i, item in enumerate(pictures)]
            pictures = np.stack(decoded) if decoded else np.empty((0, *domain.shape), np.uint8)
        else:
            pictures = _from_numbers(pictures)
    if pictures.shape[1:] != domain.shape:
        sides = ", ".join(map(str, domain.shape))
        raise Fault(f"the batch has the shape {pictures.shape}, not (N, {sides})")
    if pictures.dtype != np.uint8:
        raise Fault(f"pictures are {pictures.dtype}, not uint8")
    for i, picture in enumerate(pictures):
        if stranger := domain.stranger(picture):
            raise Fault(f"picture {i}: {stranger}")
    return pictures


def _from_numbers(pictures: list[Any]) -> np.ndarray:
    """Nested lists of integers, which JSON cannot tell the type of, or a list of arrays."""
    arrays: list[np.ndarray] = []
    for i, picture in enumerate(pictures):
        try:
            array = np.asarray(picture)
        except ValueError as error:
            raise Fault(f"picture {i}: rows of unequal lengths") from error
        if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() <= 255):
            raise Fault(f"picture {i}: integers from 0 to 255 are taken, not {array.dtype}")
        if arrays and array.shape != arrays[0].shape:
            raise Fault(f"picture {i}: its shape is {array.shape}, that of picture 0 {arrays[0].shape}")
        arrays.append(array.astype(np.uint8))
    return np.stack(arrays)


def _decode(data: bytes | bytearray | str, i: int, domain: Domain) -> np.ndarray:
    """One PNG; its size is read before any pixel, so a huge picture costs nothing."""
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Fault(f"picture {i}: text that is not base64 of a PNG") from error
    if data[:8] != _SIGNATURE or len(data) < 24:
        raise Fault(f"picture {i}: not a PNG")
    width, height = struct.unpack(">II", data[16:24])
    if (height, width) != domain.height_width:
        taken = "x".join(map(str, domain.height_width))
        raise Fault(f"picture {i}: {height}x{width} pixels (height x width); {taken} is taken")
    modes = ("RGB",) if domain.kind == "image" else ("L", "P")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.mode not in modes:
                what = "8-bit RGB" if domain.kind == "image" else "8-bit class indices (grey or palette)"
                raise Fault(f"picture {i}: a PNG of mode {image.mode}; {what} is taken")
            return np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise Fault(f"picture {i}: a broken PNG ({error})") from error


mlflow.models.set_model(GeneratorModel())
