"""The commands that use a version of the model: translate, sample, export, demo."""

from pathlib import Path

from pipelines.cli.command import Commands, add_command, add_params


def add_uses(commands: Commands) -> None:
    """Add translate, sample, export and demo."""
    _translate(commands)
    _sample(commands)
    _export(commands)
    _demo(commands)


def _translate(commands: Commands) -> None:
    command = add_command(
        commands,
        "translate",
        "translate:translate_folder",
        "Translate every picture of a folder with a version of the model.",
        "pix2pipe translate champion holiday --out winter",
        "Pictures keep their size, name and sub-folder. Those larger than the model's size are translated in "
        "overlapping tiles.",
    )
    command.add_argument("version", help="the version: its number or an alias")
    command.add_argument(
        "folder", type=Path, help="a folder of pictures, sub-folders included; label maps may be grey or in colours"
    )
    command.add_argument("--out", type=Path, required=True, help="the folder that the PNGs are written to")
    command.add_argument(
        "--condition",
        metavar="NAME",
        help="the class to show pictures in, where the version takes one; default: each, in a folder of its name",
    )
    command.add_argument(
        "--style", metavar="NAME[=WEIGHT],...", help="of a version that has styles: one, or several and their weights"
    )
    command.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help="a picture of the class for the style, where the version takes one",
    )
    command.add_argument("--force", action="store_true", help="replace pictures that exist already")
    command.add_argument("--model", help="default: register.model of the params")
    add_params(command)


def _sample(commands: Commands) -> None:
    command = add_command(
        commands,
        "sample",
        "sample:sample_version",
        "Make pictures from noise with a version of the model.",
        "pix2pipe sample champion --seeds 0-63 --out grid.png",
        "A seed always gives the same picture. The name of --out decides what is written: a folder of PNGs named by "
        "seed, one PNG with all of them, or an MP4 that goes from each seed to the next and on to --towards.",
    )
    command.add_argument("version", help="the version: its number or an alias")
    command.add_argument("--seeds", required=True, help="such as 5, 0-63 or 0-3,8; 100,000 at most")
    command.add_argument("--condition", metavar="NAME", help="the class to make, where the version needs one")
    command.add_argument(
        "--truncation",
        type=float,
        metavar="PSI",
        help="of StyleGAN: how far pictures go from the average one, from -1 to 1; default: 1, all the way",
    )
    command.add_argument("--towards", metavar="SEED", help="the seed at which a clip ends")
    command.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="the number of pictures in a clip, 30 a second; default: 60 for each of --seeds",
    )
    command.add_argument("--out", type=Path, required=True, help="a folder, or a file that ends in .png or .mp4")
    command.add_argument("--force", action="store_true", help="replace files that exist already")
    command.add_argument("--model", help="default: register.model of the params")
    add_params(command)


def _export(commands: Commands) -> None:
    command = add_command(
        commands,
        "export",
        "export:export_version",
        "Write a version of the model as one ONNX or TorchScript file, which runs without pix2pipe.",
        "pix2pipe export champion --format onnx --out winter.onnx",
        "Pictures go in and come out as bytes. The file is checked against the version's own pixels, and its "
        "description "
        "is printed as JSON.",
    )
    command.add_argument("version", help="the version: its number or an alias")
    command.add_argument("--format", choices=("onnx", "torchscript"), required=True, help="the format of the file")
    command.add_argument("--out", type=Path, required=True, help="the file that is written")
    command.add_argument("--force", action="store_true", help="replace a file that exists already")
    command.add_argument("--model", help="default: register.model of the params")
    add_params(command)


def _demo(commands: Commands) -> None:
    serves = "Serve a page that translates what you draw on it, or makes pictures from noise."
    command = add_command(commands, "demo", "demo:serve_demo", serves, "pix2pipe demo --version champion candidate")
    command.add_argument(
        "--version",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHICH",
        help="champion, candidate or version numbers, to be shown side by side; default: champion",
    )
    command.add_argument("--model", help="a registered model; default: register.model of the params")
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    command.add_argument("--port", type=int, default=8000, help="default: 8000; 0: any that is free")
    add_params(command)
