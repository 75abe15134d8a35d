"""``pathplugins import-weights ENCODER FILE``: a checkpoint of any training method -> an encoder folder."""

from __future__ import annotations

from pathlib import Path

from pathplugins.commands.lines import say


def import_encoder(encoder: str, source: Path, out: Path, *, image_size: int | None) -> None:
    """Convert, and print what was found, what was left out and how near the numbers are."""
    from pathplugins.encoders.import_encoder import import_encoder

    done = import_encoder(encoder, source, out, image_size=image_size)
    method = f"{done.method.name} by its names" if done.method else "an encoder alone"
    note = f": {done.method.note}" if done.method and done.method.note else ""
    say(f"{source}: {method}{note}")
    where = [f"in {done.loaded.container!r}"] if done.loaded.container else []
    where += [f"below {done.loaded.prefix!r}"] if done.loaded.prefix else []
    say(
        f"{done.what}: {done.loaded.loaded} of {done.loaded.wanted} weights found "
        f"({done.loaded.share:.1%}) {', '.join(where) or 'at the top'}"
    )
    if done.beside:
        parts = ", ".join(f"{part} ({count})" for part, count in done.beside.items())
        say(f"left out, part and number of its tensors: {parts}")
    if done.resized:
        say(done.resized)
    if done.reference:
        say(f"largest difference to {done.reference} with these weights: {done.difference:.1e} of the largest value")
    else:
        say("numbers not compared: no second implementation of this architecture is known here")
    say(f"wrote {out}; train with vision_model_name: timm, vision_tower: {out}")
    say(f"  or pathdata features WORK --encoder {out} --out bags")
