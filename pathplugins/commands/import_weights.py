"""``pathplugins import-weights``: other projects' weights -> directories this package and Transformers load."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from pathplugins.commands.import_encoder import import_encoder
from pathplugins.commands.lines import say
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.core.registry import loaded

Kind = Literal["open-clip", "llava", "projector", "encoder", "system"]

_ONLY: dict[Kind, tuple[str, ...]] = {
    "open-clip": ("activation", "arch"),
    "llava": ("activation", "vision_tower", "image_aspect_ratio", "template"),
    "projector": (),
    "encoder": ("image_size",),
}
"""Kind of source -> the options that mean something for it."""


@dataclass(frozen=True, kw_only=True)
class SystemImport:
    """How the weights of one published system are read, which is asked for by its name."""

    read: str
    """``package.module:function``; ``function(source, out, **options)`` writes ``out`` whole or not at all and returns
    the lines to print."""
    takes: tuple[str, ...] = ()
    """Options of the command that it takes as keywords, None where one was not given."""


_FOREIGN = "pathplugins.models.foreign"
SYSTEMS_READ: dict[str, SystemImport] = {
    "quilt-llava": SystemImport(
        read=f"{_FOREIGN}.quilt_llava.read:import_quilt_llava",
        takes=("vision_tower", "activation", "image_aspect_ratio", "template"),
    ),
    "antoni-alpha": SystemImport(read=f"{_FOREIGN}.antoni_alpha.read:import_antoni_alpha", takes=("llm",)),
    "pallava": SystemImport(read=f"{_FOREIGN}.pallava.read:import_pallava", takes=("llm", "vision_tower")),
    "wsi-llava": SystemImport(read=f"{_FOREIGN}.wsi_llava.read:import_wsi_llava", takes=("llm", "template")),
    "slidechat": SystemImport(read=f"{_FOREIGN}.slidechat.read:import_slidechat", takes=("llm",)),
    "pathosynvlm": SystemImport(read=f"{_FOREIGN}.pathosynvlm.read:import_pathosynvlm"),
}
"""Name of a published system -> how its weights are read."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the command was asked to do; None where nothing was said."""

    encoder: str | None
    source: Path
    out: Path
    llm: str | None
    image_size: int | None
    activation: Literal["quick_gelu", "gelu"] | None
    arch: str | None
    vision_tower: str | None
    image_aspect_ratio: Literal["pad", "square"] | None
    template: Literal["v1", "v1-evaluation", "none"] | None

    def refuse_options_of_others(self, kind: Kind) -> None:
        """Refuse an option that means nothing for this kind of source."""
        takes = SYSTEMS_READ[self.encoder or ""].takes if kind == "system" else _ONLY[kind]
        optional = {item.name for item in fields(self)} - {"encoder", "source", "out"}
        given = {name for name in optional if getattr(self, name) is not None}
        if foreign := sorted(given.difference(takes)):
            options = ", ".join(f"--{name.replace('_', '-')}" for name in foreign)
            what = self.encoder if kind == "system" else kind
            raise PathPluginsError(f"{self.source} is of kind {what}, for which {options} means nothing; leave it out")
        if self.template == "v1-evaluation" and kind != "system":
            raise PathPluginsError("--template v1-evaluation is of wsi-llava, as in import-weights wsi-llava SOURCE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "encoder",
        nargs="?",
        metavar="NAME",
        help="what SOURCE is a checkpoint of: a published system ("
        + (", ".join(SYSTEMS_READ) or "none yet")
        + "), or a patch encoder: ptcga200-byol, ptcga200-mae, ... (pathdata encoders lists them) or a model of timm",
    )
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="OpenCLIP file or directory (pathgenclip.pt) | LLaVA v1.5 directory, original or of Transformers "
        "(PathGen-LLaVA) | mm_projector.bin | with NAME a checkpoint of that system, or of BYOL, SimCLR, MoCo v2, "
        "DINO, MAE, of supervised training or segmentation",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="PATH", help="new directory; for a connector a new .safetensors file"
    )
    parser.add_argument(
        "--llm", metavar="PATH_OR_HUB_ID", help="language model of a system whose checkpoint holds none, or not all"
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PX",
        help="of a patch encoder: side of its input, to which position embeddings are resized (336)",
    )
    parser.add_argument(
        "--activation",
        choices=("quick_gelu", "gelu"),
        help="of a CLIP whose files do not say: OpenCLIP's ViT-B-16 runs gelu, what grew from OpenAI's quick_gelu",
    )
    parser.add_argument("--arch", metavar="NAME", help="of OpenCLIP, such as ViT-L-14-336: refuse weights of another")
    parser.add_argument(
        "--vision-tower", metavar="PATH_OR_HUB_ID", help="CLIP of a LLaVA that does not hold its vision tower"
    )
    parser.add_argument(
        "--image-aspect-ratio",
        choices=("pad", "square"),
        help="of a LLaVA: pad images to a square or cut out their middle, where it does not say, or other than it says",
    )
    parser.add_argument(
        "--template",
        choices=("v1", "v1-evaluation", "none"),
        help="chat template of a LLaVA whose tokenizer has none (default: v1); v1-evaluation: of wsi-llava, the system "
        "sentence that its published evaluation asks with, which is not that of its training",
    )


def run(args: argparse.Namespace) -> int:
    """Find out what the source is, convert it, and print what was found."""
    options = ImportOptions(**{name: getattr(args, name) for name in ImportOptions.__dataclass_fields__})
    named: Kind = "system" if options.encoder in SYSTEMS_READ else "encoder"
    kind = named if options.encoder else kind_of(options.source)
    options.refuse_options_of_others(kind)
    if kind == "system":
        for line in _system(SYSTEMS_READ[options.encoder], options):
            say(line)
        return 0
    if options.encoder:
        import_encoder(options.encoder, options.source, options.out, image_size=options.image_size)
        return 0
    {"open-clip": _open_clip, "llava": _llava, "projector": _projector}[kind](options)
    return 0


def kind_of(source: Path) -> Kind:
    """Return the kind of a source, by its configuration and its tensor names; a `CheckpointError` where it has none."""
    from pathplugins.models.foreign.llava.settings import is_llava
    from pathplugins.models.towers.open_clip_checkpoint import open_clip_file
    from pathplugins.weights.compare import few
    from pathplugins.weights.file import file_weights
    from pathplugins.weights.names.llava import part_of

    if not source.exists():
        raise CheckpointError(
            f"{source} does not exist; check the path or download the weights first{near_path(source)}"
        )
    if source.is_dir() and is_llava(source):
        return "llava"
    if open_clip_file(source) is not None:
        return "open-clip"
    if source.is_dir():
        names = sorted(path.name for path in source.iterdir())
        if "mm_projector.bin" in names:
            return "projector"
        raise CheckpointError(
            f"{source} is no LLaVA (a config.json with mm_vision_tower, or with text_config and vision_config), no "
            f"directory of OpenCLIP and no output of LLaVA's first phase; it holds {few(names) or 'nothing'}. Name the "
            "weights file itself if there is one"
        )
    names = file_weights(source).names()
    if any((part_of(name, "llava") or ("",))[0] == "connector" for name in names):
        return "projector"
    raise CheckpointError(
        f"{source} holds {len(names)} tensors ({few(names) or 'none'}): neither OpenCLIP's (visual.conv1.weight) nor a "
        "connector of LLaVA (model.mm_projector.*); of a LLaVA give the directory, of a patch encoder its name too: "
        f"import-weights ENCODER {source}"
    )


def _system(system: SystemImport, options: ImportOptions) -> list[str]:
    """Import a published system; language model and vision tower are on this machine when it begins."""
    from pathplugins.models.compose.local_copy import FILES, TOWER_FILES, local_copy

    if not options.source.exists():
        raise CheckpointError(
            f"{options.source} does not exist; check the path or download the weights first{near_path(options.source)}"
        )
    given = {name: getattr(options, name) for name in system.takes}
    for name, files in (("llm", FILES), ("vision_tower", TOWER_FILES)):
        if given.get(name) is not None:
            given[name] = Path(local_copy(given[name], f"--{name.replace('_', '-')}", files))
    return loaded(system.read)(options.source, options.out, **given)


def _open_clip(options: ImportOptions) -> None:
    from pathplugins.models.foreign.open_clip.convert import import_open_clip

    done = import_open_clip(options.source, options.out, activation=options.activation, arch=options.arch)
    say(f"{options.source}: OpenCLIP, {done.architecture}; {'image and text' if done.both else 'image alone'}")
    say(f"activation {done.activation}, by {done.told_by}")
    numbers = ", ".join(f"{name} {value:.1e}" for name, value in done.differences.items())
    say(f"largest difference to the original weights' own forward, of the largest value: {numbers}")
    say(f"wrote {options.out}; train with vision_model_name: clip, vision_tower: {options.out}")


def _llava(options: ImportOptions) -> None:
    from pathplugins.models.compose.local_copy import TOWER_FILES, local_copy
    from pathplugins.models.foreign.llava.read import import_llava

    done = import_llava(
        options.source,
        options.out,
        vision_tower=options.vision_tower and local_copy(options.vision_tower, "--vision-tower", TOWER_FILES),
        activation=options.activation,
        image_aspect_ratio=options.image_aspect_ratio,
        template=options.template != "none",
    )
    layout = {"llava": "LLaVA v1.5", "hf-llava": "LLaVA of Transformers"}[done.layout]
    counts = ", ".join(f"{count} of the {part}" for part, count in done.counts.items())
    say(f"{options.source}: {layout}, tensors: {counts}; {done.dtype}")
    say(f"vision tower from {done.tower}, hidden state {done.select_layer}; connector {done.connector}")
    if done.template_given:
        say("the tokenizer had no chat template and was given LLaVA's v1 (--template none leaves it without)")
    say(f"wrote {options.out}; train with model_name_or_path: {options.out}, or ask it:")
    say(f'  pathplugins ask {options.out} --image FILE --question "What does this show?"')


def _projector(options: ImportOptions) -> None:
    from pathplugins.models.foreign.llava.projector import import_projector

    kind = import_projector(options.source, options.out)
    say(f"{options.source}: LLaVA's connector {kind}")
    say(f"wrote {options.out}; train with mm_projector_type: {kind}, projector_path: {options.out}")
