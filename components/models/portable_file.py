"""One file of a generator, ONNX or TorchScript, with its description in it, that gives the generator's own pixels."""

import json
import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from components.faults import Fault
from components.models.generator import Generator
from components.models.portable import Portable
from components.storage.files import atomic_path

Format = Literal["onnx", "torchscript"]
KEY = "pix2pipe"  # of the ONNX metadata, and the name of TorchScript's extra file
_ALLOWED = 1  # of 255: another runtime sums in another order
_MODULES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torchscript": ()}
_NOISE = (
    "Any noise of this kind gives a picture. The version's own pixels come of components.networks.noise.draw_rows, "
    "kind '{}', SplitMix64 from its seed, with as many values as the second side of the input; the seed of a "
    "translation is int.from_bytes(sha256(source bytes).digest()[:8], 'big') >> 1."
)


def require_format(format_: Format) -> None:
    """Say what to install where a format needs packages that are missing.

    Raises:
        Fault: naming them.
    """
    if missing := [name for name in _MODULES[format_] if find_spec(name) is None]:
        raise Fault(f"--format {format_} needs {', '.join(missing)}: run pip install 'pix2pipe[export]'")


def write_portable(generator: Generator, version: str, format_: Format, path: Path) -> dict[str, Any]:
    """Write a generator as one file and check that the file gives its pixels.

    Args:
        generator: on the CPU.
        version: the name that the file says it was made of.

    Returns:
        The description that is in the file, and `difference`: the most that a pixel of the file differs, of 255 (of
        class indices, the share of pixels that are another class).

    Raises:
        Fault: it cannot be exported faithfully, or the file gives other pixels; nothing is written then.
    """
    require_format(format_)
    portable = Portable(generator).eval()
    description: dict[str, Any] = {
        "version": version,
        "task": generator.card.task.title,
        "inputs": [port.described() for port in portable.inputs],
        "outputs": [port.described() for port in portable.outputs],
    }
    if portable.noise is not None:
        description["noise"] = _NOISE.format(portable.noise[0])
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both exporters warn of their own insides
        {"onnx": _write_onnx, "torchscript": _write_torchscript}[format_](portable, description, temporary)
        difference = _difference(generator, portable, format_, temporary)
    return description | {"difference": difference}


def _write_onnx(portable: Portable, description: dict[str, Any], path: Path) -> None:
    import onnx  # the extra `export`

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # which else warns that torchvision is not installed
    batch = torch.export.Dim("N", min=1)
    program = torch.onnx.export(
        portable,
        tuple(portable.examples(2)[0]),
        input_names=[port.name for port in portable.inputs],
        output_names=[port.name for port in portable.outputs],
        dynamic_shapes=(tuple({0: batch} for _ in portable.inputs),),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(description)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _write_torchscript(portable: Portable, description: dict[str, Any], path: Path) -> None:
    with torch.no_grad():
        traced = torch.jit.trace(portable, tuple(portable.examples(2)[0]), check_trace=False)
    torch.jit.save(traced, path, _extra_files={KEY: json.dumps(description)})


def _difference(generator: Generator, portable: Portable, format_: Format, path: Path) -> float:
    """How far the file's pixels are from the generator's, over a batch of another size than it was traced with."""
    given, seeds = portable.examples(3)
    named = dict(zip([port.name for port in portable.inputs], (each.numpy() for each in given), strict=True))
    sources, conditions, references = (named.get(need) for need in ("source", "condition", "reference"))
    own = generator.make(sources=sources, conditions=conditions, references=references, seeds=seeds.tolist())
    if format_ == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        made = np.asarray(session.run(None, named)[0])
    else:
        with torch.inference_mode():
            made = torch.jit.load(path)(*given).numpy()
    if made.shape != own.shape or made.dtype != own.dtype:
        raise Fault(f"{path}: gives {made.dtype} {made.shape}, and the version {own.dtype} {own.shape}")
    if generator.target.kind != "image":
        difference, allowed = float((made != own).mean()), 0.001
    else:
        difference, allowed = float(np.abs(made.astype(int) - own).max()), float(_ALLOWED)
    if difference > allowed:
        raise Fault(f"the exported file differs from the version by {difference:g}; {allowed:g} is allowed")
    return difference
