"""Whether a run may be scored on a patch set: the same classes, and no picture or slide that it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pathplugins.classify.runs import Run
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets.patch_set import PARTS
from pathplugins.data.splits.groups import some

if TYPE_CHECKING:
    from pathplugins.data.patch_sets import PatchSet


def check_classes(run: Run, patches: PatchSet) -> None:
    """Refuse data of another task or with other classes than those of the run.

    Raises:
        PathPluginsError: what differs.
    """
    if run.task != patches.task:
        raise PathPluginsError(
            f"{run.path} predicts {run.task} and {patches.root} ({patches.kind}) has {patches.task}; give data with "
            f"{run.task}, or a run for {patches.task}"
        )
    if run.classes == patches.classes:
        return
    lacking = [name for name in run.classes if name not in patches.classes]
    foreign = [name for name in patches.classes if name not in run.classes]
    differs = [f"the data lack {', '.join(lacking)}"] if lacking else []
    differs += [f"the run does not know {', '.join(foreign)}"] if foreign else []
    differs = differs or [f"their order is {', '.join(run.classes)} and {', '.join(patches.classes)}"]
    advice = "give data with the classes of the run"
    if lacking and not foreign and patches.kind == "class_folders":
        advice += "; for a part of a set name the folder of the whole set, and --part"
    raise PathPluginsError(f"classes of {run.path} and {patches.root} differ: {'; '.join(differs)}; {advice}")


def check_unseen(run: Run, patches: PatchSet) -> None:
    """Refuse pictures that the run was trained on, and pictures of slides that it was trained on.

    Raises:
        PathPluginsError: how many, and the first of them.
    """
    prefix = part_prefix(Path(run.record["data"]))
    trained = {_with_part(prefix + name) for name in run.names_of_training}
    prefix = part_prefix(patches.root)
    again = [name for name in patches.names if _with_part(prefix + name) in trained]
    slides = sorted((set(patches.groups) - {""}) & run.slides_of_training)
    shared = [f"{len(again)} pictures ({some(again)})"] if again else []
    shared += [f"{len(slides)} slides ({some(slides)})"] if slides else []
    if shared:
        raise PathPluginsError(
            f"{run.path} was trained on {' and '.join(shared)} of {patches.root}, and scores on them say nothing of "
            "others; give another part of the data (--part test). If they are meant, or are others of the same names: "
            "--allow-training-data"
        )


def part_prefix(root: Path) -> str:
    """Return ``test/`` for the folder ``test`` of a patch set, so that its names compare with those of the whole."""
    return f"{root.name}/" if root.name.casefold() in PARTS else ""


def _with_part(name: str) -> str:
    """Return a name whose folder of the part, if any, has our name for it."""
    folder, slash, rest = name.partition("/")
    return f"{PARTS.get(folder.casefold(), folder)}{slash}{rest}"
