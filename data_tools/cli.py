"""``pathdata``: the command line of the data tools."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from pathplugins.core.errors import MissingDependencyError, PathPluginsError

from .convert_options import READER_OPTIONS, add_convert_options
from .demo_slide import KINDS, write_demo_slide
from .grid import TilingSpec
from .outputs import Outcome
from .resolution import MICRONS_PER_PIXEL_AT_1X

FAILED, MISUSED, INTERRUPTED = 1, 2, 130  #: exit codes


def main(argv: list[str] | None = None) -> int:
    """Run ``pathdata``.

    Returns:
        0 if all went well, 1 if a slide failed or bad rows stopped a conversion, 2 if nothing could be started.
    """
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except (PathPluginsError, MissingDependencyError) as error:
        _say(f"pathdata {args.command}: error: {error}")
        return MISUSED
    except KeyboardInterrupt:
        _say(f"pathdata {args.command}: stopped; nothing is half-written, run the same command to go on")
        return INTERRUPTED


def _patch(args: argparse.Namespace) -> int:
    """``pathdata patch``."""
    from .patching import patch_slide
    from .slides import find_slides

    if args.magnification is not None and args.magnification <= 0:
        raise PathPluginsError(f"--magnification must be above 0 (e.g. 20), got {args.magnification:g}")
    spec = TilingSpec(
        patch_size=args.patch_size,
        mpp=MICRONS_PER_PIXEL_AT_1X / args.magnification if args.magnification else args.mpp,
        overlap=args.overlap,
        min_tissue=args.min_tissue,
        slide_mpp=args.slide_mpp,
    )
    slides = find_slides(args.slides, outside=args.out)
    return _each_slide(slides, lambda slide: patch_slide(slide, args.out, spec, overwrite=args.overwrite), args.out)


def _features(args: argparse.Namespace) -> int:
    """``pathdata features``."""
    from .encoding import EncoderChoice, load_encoder
    from .features import FeatureOptions, encode_slide

    files = sorted((args.folder / "coords").glob("*.h5"))
    if not files:
        raise PathPluginsError(
            f"{args.folder}: no coords/*.h5 in it; run pathdata patch SLIDE... --out {args.folder} first"
        )
    options = FeatureOptions(
        batch_size=args.batch_size, dtype=args.dtype, readers=args.readers, slides_folder=args.slides
    )
    encoder = load_encoder(
        EncoderChoice(
            name=args.encoder,
            weights=args.weights,
            random_seed=args.random_weights,
            download=args.download,
            device=args.device,
        )
    )
    out = args.out or args.folder / "bags"

    def encode(coords_path: Path) -> Outcome:
        with tqdm(unit="patch", desc=coords_path.stem, leave=False, disable=None, position=1) as bar:
            return encode_slide(
                coords_path,
                out,
                encoder,
                options,
                overwrite=args.overwrite,
                on_start=bar.reset,
                on_batch=bar.update,
            )

    return _each_slide(files, encode, args.folder)


def _demo_slide(args: argparse.Namespace) -> int:
    """``pathdata demo-slide``."""
    if args.path.exists() and not args.overwrite:
        raise PathPluginsError(f"{args.path} is there already; pass --overwrite to replace it")
    write_demo_slide(args.path, args.size, seed=args.seed, kind=args.kind)
    _say(f"{args.path}: {args.size[0]} x {args.size[1]} pixels, 0.5 um/px")
    return 0


def _convert(args: argparse.Namespace) -> int:
    """``pathdata convert``."""
    from .convert import convert

    if args.out.exists() and args.source.exists() and args.out.samefile(args.source) and args.overwrite:
        raise PathPluginsError(f"--out {args.out} is the source itself; choose another name")
    if args.out.exists() and not args.overwrite:
        raise PathPluginsError(f"{args.out} is there already; pass --overwrite to replace it")
    if args.max_pixels <= 0:
        raise PathPluginsError(f"--max-pixels must be above 0, got {args.max_pixels}")
    done = convert(
        args.source,
        args.out,
        format_name=args.format.replace("-", "_"),
        image_folder=args.image_folder,
        options={name: getattr(args, name) for name in READER_OPTIONS},
        max_pixels=args.max_pixels,
        on_bad=args.on_bad,
    )
    if done.report:
        _say(done.report)
    if not done.written:
        _say("nothing was written; " + ("correct these rows, or pass --on-bad skip" if done.bad else "no row is left"))
        return FAILED
    _say(
        f"{args.out}: {done.written} samples; left out: {done.bad} bad, {done.too_large} above {args.max_pixels} pixels"
    )
    return 0


def _encoders(args: argparse.Namespace) -> int:
    """``pathdata encoders``."""
    from .encoders import encoder_table

    rows = encoder_table()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        sys.stdout.write("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    sys.stdout.write("and any model name of timm, or a folder downloaded from the Hugging Face hub\n")
    return 0


def _each_slide(items: list[Path], work: Callable[[Path], Outcome], folder: Path) -> int:
    """Do the work on every item; report failures, keep their tracebacks in ``folder/errors``, and go on.

    Returns:
        The exit code.
    """
    failed: dict[str, str] = {}
    with tqdm(total=len(items), unit="slide", disable=None) as bar:
        for number, item in enumerate(items, 1):
            record = folder / "errors" / f"{item.stem}.txt"
            try:
                outcome = work(item)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one slide must not stop the rest
                ours = isinstance(error, PathPluginsError | MissingDependencyError)
                failed[item.stem] = str(error) if ours else f"{type(error).__name__}: {error}"
                record.parent.mkdir(parents=True, exist_ok=True)
                record.write_text(traceback.format_exc(), encoding="utf-8")
                line = f"{item.stem}: failed"
            else:
                record.unlink(missing_ok=True)
                already = " (there already)" if outcome.status == "skipped" else ""
                line = "; ".join([f"{outcome.slide_id}: {outcome.patches} patches{already}", *outcome.notes])
            _say(f"[{number}/{len(items)}] {line}")
            bar.update()
    if not failed:
        return 0
    _say(f"{len(failed)} of {len(items)} slides failed; tracebacks are in {folder / 'errors'}:")
    for slide_id, reason in failed.items():
        _say(f"  {slide_id}: {reason}")
    return FAILED


def _say(line: str) -> None:
    """A line on stderr that leaves progress bars whole."""
    tqdm.write(line, file=sys.stderr)


def _size(text: str) -> tuple[int, int]:
    """``3072x2304`` as (w, h)."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"wanted WIDTHxHEIGHT such as 3072x2304, got {text!r}")
    return int(width), int(height)


def _parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="pathdata",
        description="From slides to patches to feature bags, and from published data sets to training files.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], help_text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_text, description=help_text)
        sub.set_defaults(run=run)
        return sub

    _add_patch(command("patch", _patch, "find tissue on slides and cut it into patches"))
    _add_features(command("features", _features, "encode the patches of every slide into a feature bag"))
    kinds = ", ".join(f"{i} {kind.name.partition(':')[0]}" for i, kind in enumerate(KINDS))
    demo = command("demo-slide", _demo_slide, "write a made-up slide to try things with")
    demo.add_argument("path", type=Path, metavar="OUT.svs")
    demo.add_argument(
        "--size", type=_size, default=(3072, 2304), metavar="WxH", help="level-0 pixels (default 3072x2304)"
    )
    demo.add_argument("--seed", type=int, default=0, help="of the random tissue (default %(default)s)")
    demo.add_argument(
        "--kind",
        type=int,
        default=0,
        help=f"{kinds} (default %(default)s)",
    )
    demo.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    add_convert_options(
        command("convert", _convert, "turn a published data set into LLaVA JSON lines, every image checked")
    )
    command("encoders", _encoders, "list the patch encoders that have a preset")
    return parser


def _add_patch(sub: argparse.ArgumentParser) -> None:
    spec = TilingSpec()
    sub.add_argument("slides", nargs="+", type=Path, metavar="SLIDE", help="slide files, or folders to search")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets coords/, overlays/ and errors/")
    sub.add_argument(
        "--patch-size", type=int, default=spec.patch_size, help="side in pixels at --mpp (default %(default)s)"
    )
    resolution = sub.add_mutually_exclusive_group()
    resolution.add_argument(
        "--mpp", type=float, default=spec.mpp, help="microns per pixel of the patches (default %(default)s)"
    )
    resolution.add_argument("--magnification", type=float, help="the same as --mpp 10/MAGNIFICATION")
    sub.add_argument(
        "--overlap", type=int, default=spec.overlap, help="pixels at --mpp shared by neighbours (default %(default)s)"
    )
    sub.add_argument(
        "--min-tissue", type=float, default=spec.min_tissue, help="smallest fraction of tissue (default %(default)s)"
    )
    sub.add_argument("--slide-mpp", type=float, help="level-0 microns per pixel of slides that record none")
    sub.add_argument("--overwrite", action="store_true", help="redo slides that are done")


def _add_features(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folder", type=Path, metavar="DIR", help="the --out of pathdata patch")
    sub.add_argument("--encoder", required=True, metavar="NAME|PATH", help="see pathdata encoders")
    sub.add_argument("--out", type=Path, help="folder of the bags; DIR/bags unless given")
    weights = sub.add_mutually_exclusive_group()
    weights.add_argument("--weights", type=Path, metavar="FILE", help="local checkpoint (.safetensors or torch)")
    weights.add_argument("--random-weights", type=int, metavar="SEED", help="untrained, for a trial run")
    weights.add_argument("--download", action="store_true", help="fetch the published weights")
    sub.add_argument("--slides", type=Path, metavar="FOLDER", help="where the slides are, if they moved")
    sub.add_argument("--batch-size", type=int, default=64, help="patches per step of the encoder (default %(default)s)")
    sub.add_argument("--readers", type=int, default=4, help="threads that read patches (default %(default)s)")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")
    sub.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="of the features on disk (default %(default)s)",
    )
    sub.add_argument("--overwrite", action="store_true", help="redo slides that are done")
