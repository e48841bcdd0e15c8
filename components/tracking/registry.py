"""The registered model: a generator as a version that any MLflow client can load by its alias."""

import base64
import io
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import components
from components.faults import Fault
from components.models.card import CARD, WEIGHTS, Card, read_cards
from components.models.generator import Generator
from components.storage.files import read_json, sha256_file, sha256_json, write_json
from components.storage.scratch import scratch
from components.tracking.config import RegisterConfig
from components.tracking.record import Outputs
from components.tracking.store import Store, faults_of_the_store
from components.tracking.versions import GATE, VERDICT

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# What a translator is made of, and so what a version carries of this project's code: all below `systems`
# that has to do with networks, and nothing that reads data, trains or tracks.
_CODE = (
    *("faults.py", "storage/__init__.py", "storage/files.py"),
    *("models/__init__.py", "models/card.py", "models/generator.py"),
    *("networks", "objectives", "samples", "systems", "tasks"),
)
_REQUIREMENTS = ("mlflow", "numpy", "pillow", "pydantic", "safetensors", "torch")
MEASURED, REPLICATES = "measured.json", "replicates.parquet"  # beside the card, for reviews of later versions
REGISTERED = "registered.json"  # the hash of the card
_MODEL_CODE = Path(__file__).with_name("pyfunc_model.py")


def register_all(store: Store, run_id: str, outputs: Outputs, config: RegisterConfig) -> dict[str, dict[str, Any]]:
    """Make each translator a version of its own registered model, all with the alias.

    The first one's model is `config.model`; a further one's has its direction at the end of the name.

    Args:
        run_id: the graph's run, which the versions belong to.

    Returns:
        What stands in data/registered/version.json of each direction.
    """
    metrics = read_json(outputs.metrics_file)
    made: dict[str, dict[str, Any]] = {}
    for card in read_cards(outputs.generated):
        name = "-".join([config.model, *((card.task.title.replace(" ", "-"),) if made else ())])
        folder, measured = outputs.generated / card.name, metrics[card.name]
        replicates = outputs.metrics / f"replicates/{card.name}.parquet"
        version = register_translator(store, run_id, folder, measured, replicates, name, config.alias)
        made[card.name] = {
            "model": name,
            "alias": config.alias,
            "version": int(version.version),
            "key": card.key,
            "weights_sha256": card.weights_sha256,
            "protocol_hash": measured["protocol"]["hash"],
        }
    return made


def register_translator(
    store: Store, run_id: str, folder: Path, measured: dict[str, Any], replicates: Path, model: str, alias: str
) -> "ModelVersion":
    """Make a translator a version of a registered model and give it the alias.

    If the alias already points to a version with the same weights and metrics, that version is returned.

    Args:
        run_id: the graph's run, which the version belongs to.
        folder: of generator.json and generator.safetensors.
        measured: what the evaluation found of this translator.
        replicates: Parquet of its figures on resampled test sets; the version keeps it and `measured`, so that a
            later one can be compared with it.
        model: name of the registered model.

    Raises:
        Fault: a file is missing or is not what generator.json says, or MLflow refuses.
    """
    card = Generator.load(folder, "cpu").card
    if not replicates.is_file():
        raise Fault(f"{replicates}: not found; run dvc repro evaluate")
    tags = {
        "key": card.key,
        "weights_sha256": card.weights_sha256,
        "metrics_sha256": sha256_json(measured),
        "replicates_sha256": sha256_file(replicates),
        "card_sha256": sha256_file(folder / CARD),
        "protocol_hash": measured["protocol"]["hash"],
        "run": run_id,
    }
    with faults_of_the_store(store.uri):
        current = version_by_alias(store, model, alias)
        if current is not None and tags.items() <= current.tags.items():
            return current
        _ensure_model(store, model, card)
        made = _unnamed(store, model, tags)
        if made is None:
            uri = _log_model(store, run_id, folder, card, measured, replicates)
            # MLflow's pages show tags in the order in which they came: what people look for, before the hashes.
            tags = {VERDICT: "not reviewed", GATE: "-"} | tags
            made = store.client.create_model_version(model, uri, run_id, tags, model_id=uri.rpartition("/")[2])
        store.client.set_registered_model_alias(model, alias, made.version)
        return made


def version_by_alias(store: Store, model: str, alias: str) -> "ModelVersion | None":
    """The version that an alias points to; None where there is no such model or alias yet."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _unnamed(store: Store, model: str, tags: dict[str, str]) -> "ModelVersion | None":
    """The newest version, if it has these tags and no alias: made just before a kill."""
    found = store.client.search_model_versions(f"name = '{model}'", 1, order_by=["version_number DESC"])
    named = {str(number) for number in store.client.get_registered_model(model).aliases.values()}
    left = [version for version in found if tags.items() <= version.tags.items() and str(version.version) not in named]
    return left[0] if left else None


def _ensure_model(store: Store, model: str, card: Card) -> None:
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(model, description=f"Makes {card.task.title}.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log_model(
    store: Store, run_id: str, generated: Path, card: Card, measured: dict[str, Any], replicates: Path
) -> str:
    """Log the model's files; gives the address they are found by."""
    import mlflow
    import mlflow.pyfunc

    mlflow.set_tracking_uri(store.uri)
    mlflow.set_registry_uri(store.uri)
    with scratch() as folder, mlflow.start_run(run_id=run_id):
        temporary = Path(folder)
        write_json(temporary / MEASURED, measured, in_order=True)
        # Not as MLflow's model_config, which would make it a param of the run, another one for each direction.
        write_json(temporary / REGISTERED, {"card_sha256": sha256_file(generated / CARD)})  # which names the weights'
        shutil.copyfile(replicates, temporary / REPLICATES)
        files = {"card": generated / CARD, "weights": generated / WEIGHTS}
        files |= {"measured": temporary / MEASURED, "replicates": temporary / REPLICATES}
        files |= {"registered": temporary / REGISTERED}
        info = mlflow.pyfunc.log_model(
            name=card.use,
            python_model=str(_MODEL_CODE),
            artifacts={
                name: path.resolve().as_uri() for name, path in files.items()
            },  # a path with a % it would decode
            code_paths=[str(_copy_code(temporary / "components"))],
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS],
            signature=_signature(card),
            input_example=_example(card),
            metadata={"key": card.key, "weights_sha256": card.weights_sha256, "task": card.task.name},
        )
    return str(info.model_uri)


def _signature(card: Card) -> Any:
    """Inputs and outputs, for people and tools to read; the model checks its input itself.

    MLflow's own check of a tensor signature would refuse PNG bytes and answers with the whole batch printed.
    It leaves the check to the model where the signature is marked as the model's own.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    made = Schema([TensorSpec(np.dtype(np.uint8), (-1, *card.target.shape))])
    if card.target.kind == "point":
        made = Schema([TensorSpec(np.dtype(np.float32), (-1, 2))])
    given = Schema([TensorSpec(np.dtype(np.uint8), (-1, *card.source.shape))]) if card.source else None
    if card.source is not None and card.condition is not None:
        names = ("png", "condition", *(("reference",) if card.task.reference else ()))
        given = Schema([ColSpec("string", name) for name in names])
    elif given is None:
        columns = [ColSpec("long", "seed"), *([ColSpec("string", "condition")] if card.condition else [])]
        columns += [ColSpec("double", "truncation", required=False)] if card.system.truncates else []
        given = Schema(columns)
    signature = ModelSignature(inputs=given, outputs=made)
    signature._is_signature_from_type_hint = True
    return signature


def _example(card: Card) -> Any:
    """One valid input."""
    if card.source is not None and card.condition is not None:
        file = io.BytesIO()
        height, width = card.source.height_width
        Image.new("RGB", (width, height)).save(file, format="PNG")
        png = [base64.b64encode(file.getvalue()).decode()]
        reference = {"reference": png} if card.task.reference else {}
        return {"png": png, "condition": [card.condition.classes[0]]} | reference
    if card.source is not None:
        return np.zeros((1, *card.source.shape), np.uint8)
    condition = {"condition": [card.condition.classes[0]]} if card.condition else {}
    return {"seed": [0]} | condition


def _copy_code(code: Path) -> Path:
    """A folder `components` with the code that a generator needs, so that a version still gives the same pictures after
    the project's code has changed, and loads where the project is not installed."""
    root = Path(components.__file__).parent
    code.mkdir()
    for name in ("__init__.py", *_CODE):
        if (root / name).is_dir():
            shutil.copytree(root / name, code / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            (code / name).parent.mkdir(exist_ok=True)
            shutil.copy(root / name, code / name)
    return code
