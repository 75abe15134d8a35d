"""Asked files: what a message names, found, checked and made ready for the model, on threads beside the engine's."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.serve.messages import Reference
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.uploads import Uploads
from pathplugins.commands.slide_bags import bag_of_slide
from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.slide_options import SlideOptions
from pathplugins.models.custom_llava.input_files import check_file, kind_of, misfit

_CHECKS = 4


class AskedFiles:
    """Turns references into bags and images that the model reads.

    Files are checked several at a time. Slides become bags one after the other, so that one patch encoder is in memory,
    and those that were done before wait for none.

    Args:
        model: what reads them; its weights are not touched.
        roots: where paths may lead.
        uploads: where clients put files.
        slides: how a slide becomes a bag.
    """

    def __init__(self, model: LoadedModel, roots: Roots, uploads: Uploads, slides: SlideOptions) -> None:
        self._model, self._roots, self._uploads, self._options = model, roots, uploads, slides
        self._checks = ThreadPoolExecutor(max_workers=_CHECKS, thread_name_prefix="files")
        self._slides = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slides")

    async def ready(self, reference: Reference) -> Path:
        """Return the bag or image that a reference names, checked.

        Raises:
            PathPluginsError: it names nothing that may be asked about, or what the model cannot read.
            MissingDependencyError: it is a slide, and what reads slides is not installed.
        """
        loop = asyncio.get_running_loop()
        path, name = await loop.run_in_executor(self._checks, self._found, reference)
        if self._model.reads == "bags" and await loop.run_in_executor(self._checks, _kind, path) == "slide":
            bag = await loop.run_in_executor(self._slides, self._bag, path, name)
            await loop.run_in_executor(self._checks, self._checked, bag, path.name)
            return bag
        await loop.run_in_executor(self._checks, self._checked, path, name)
        return path

    def close(self) -> None:
        """End the threads, when what they do is done."""
        for threads in (self._checks, self._slides):
            threads.shutdown(wait=True)

    def _found(self, reference: Reference) -> tuple[Path, str]:
        """Return the file, and what it is called in messages, which tell no folder of the server."""
        if reference.kind == "path":
            path = self._roots.resolve(reference.text)
            return path, self._roots.name_of(path)
        if reference.kind == "upload":
            upload = self._uploads.get(reference.text)
            return upload.path, upload.name
        return self._uploads.add_data(reference.text).path, "the data URL"

    def _bag(self, slide: Path, name: str) -> Path:
        device = str(self._model.model.device)
        try:
            return bag_of_slide(slide, self._model.processor.image_processor, self._options, device=device).bag
        except PathPluginsError as error:
            raise _told(error, slide, name) from error

    def _checked(self, path: Path, name: str) -> None:
        """Refuse a file that the model cannot read."""
        try:
            if said := misfit(path, reads=self._model.reads, model="this model"):
                raise PathPluginsError(said)
            check_file(self._model.processor, path)
        except PathPluginsError as error:
            raise _told(error, path, name) from error
        except OSError as error:
            raise PathPluginsError(f"{name}: cannot be read ({error.strerror or type(error).__name__})") from error


def _kind(path: Path) -> str:
    try:
        return kind_of(path)
    except OSError:  # gone, or may not be read: the check says so
        return "unknown"


def _told(error: PathPluginsError, path: Path, name: str) -> PathPluginsError:
    """Return an error that calls the file what the client does."""
    said = str(error)
    for known in (path, path.resolve()):
        said = said.replace(str(known), name)
    return PathPluginsError(said)
