"""Routes of uploads, ``/v1/files``, as OpenAI has them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pathplugins.commands.serve.refusals import FieldError
from pathplugins.commands.serve.uploads import Upload, Uploads

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class UploadRoutes:
    """Takes, lists and removes uploads.

    Args:
        uploads: where they are kept.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> list[Any]:
        """Return the routes."""
        from starlette.routing import Route

        return [
            Route("/v1/files", self.add, methods=["POST"]),
            Route("/v1/files", self.listing, methods=["GET"]),
            Route("/v1/files/{upload_id}", self.about, methods=["GET"]),
            Route("/v1/files/{upload_id}", self.remove, methods=["DELETE"]),
        ]

    async def add(self, request: Request) -> Response:
        """Take the file of a form."""
        from python_multipart.exceptions import FormParserError
        from starlette.datastructures import UploadFile
        from starlette.exceptions import HTTPException
        from starlette.responses import JSONResponse

        try:
            async with request.form(max_files=1, max_fields=8) as form:
                file, purpose = form.get("file"), form.get("purpose", "user_data")
                if not isinstance(file, UploadFile):
                    raise FieldError("the form has no file; send it as the field `file`", field="file")
                upload = await asyncio.to_thread(self._uploads.add, file.filename or "", file.file)
        except (HTTPException, FormParserError) as error:
            said = getattr(error, "detail", None) or error
            raise FieldError(f"the request is no form that can be read ({said})", field="file") from error
        return JSONResponse({**_shown(upload), "purpose": purpose})

    async def listing(self, request: Request) -> Response:
        """Return all uploads."""
        from starlette.responses import JSONResponse

        del request
        return JSONResponse({"object": "list", "data": [_shown(each) for each in self._uploads.listing()]})

    async def about(self, request: Request) -> Response:
        """Return what is known of one upload."""
        from starlette.responses import JSONResponse

        return JSONResponse(_shown(self._uploads.get(request.path_params["upload_id"])))

    async def remove(self, request: Request) -> Response:
        """Delete one upload."""
        from starlette.responses import JSONResponse

        upload_id = request.path_params["upload_id"]
        await asyncio.to_thread(self._uploads.remove, upload_id)
        return JSONResponse({"id": upload_id, "object": "file", "deleted": True})


def _shown(upload: Upload) -> dict[str, Any]:
    head = {"id": upload.id, "object": "file", "bytes": upload.nbytes, "created_at": upload.created}
    return {**head, "filename": upload.name, "purpose": "user_data", "status": "processed"}
