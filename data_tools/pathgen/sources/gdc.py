"""The Genomic Data Commons (GDC): look up files in its API; read and write its manifests.

Source: docs.gdc.cancer.gov, API User's Guide ("Search and Retrieval") and Data Transfer Tool User's Guide.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.core.optional import need
from pathplugins.data.formats.reading.rows import read_lines
from pathplugins.data.records import first_shown

API = "https://api.gdc.cancer.gov"
COLUMNS = ("id", "filename", "md5", "size", "state")
BATCH = 200  #: values in one query
PAGE = 1000  #: answers requested at once
RETRIES = 6
BACKOFF_S = 1.0  #: wait before the second retry, doubled each time; ``Retry-After`` takes precedence
TIMEOUT_S = (20, 120)  #: for connecting, and between received bytes
PASSING = (429, 500, 502, 503, 504)  #: status codes of temporary errors

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_FIELDS = "file_id,file_name,md5sum,file_size,state,access"


class GdcFile(NamedTuple):
    """A file of the GDC; a manifest holds all but ``access``."""

    id: str
    """UUID."""
    name: str
    md5: str = ""
    """``""`` if unknown."""
    size: int | None = None
    """Bytes; None if unknown."""
    state: str = ""
    access: str = ""
    """``open`` or ``controlled``."""


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID, the form of a GDC file id."""
    return _UUID.fullmatch(text) is not None


def open_session(connections: int = 1) -> Any:
    """Open a ``requests.Session`` that retries temporary errors: no connection, status codes in ``PASSING``."""
    requests, retry = need("requests", extra="pathgen"), need("urllib3", extra="pathgen").Retry
    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(
        pool_maxsize=connections,
        # None allows any method: a repeated query changes nothing
        max_retries=retry(total=RETRIES, backoff_factor=BACKOFF_S, status_forcelist=PASSING, allowed_methods=None),
    )
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def look_up(session: Any, api: str, field: str, values: Sequence[str]) -> Iterator[GdcFile]:
    """Yield the files whose ``field`` (``file_id`` or ``file_name``) has one of the values; unknown values give none.

    Raises:
        PathPluginsError: the API cannot be reached, or does not answer as documented.
    """
    for start in range(0, len(values), BATCH):
        content = {"field": field, "value": list(values[start : start + BATCH])}
        body = {"filters": {"op": "in", "content": content}, "fields": _FIELDS, "format": "JSON", "size": PAGE}
        got, total = 0, 1
        while got < total:
            hits, total = _ask(session, f"{api.rstrip('/')}/files", {**body, "from": got})
            if not hits and got < total:
                raise PathPluginsError(f"{api}/files has {total} answers and gave {got} of them; run the command again")
            got += len(hits)
            for hit in hits:
                yield GdcFile(
                    id=hit["file_id"],
                    name=hit["file_name"],
                    md5=hit.get("md5sum") or "",
                    size=hit.get("file_size"),
                    state=hit.get("state") or "",
                    access=hit.get("access") or "",
                )


def _ask(session: Any, url: str, body: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return the files on one page of answers, and the number on all pages."""
    requests = need("requests", extra="pathgen")
    try:
        response = session.post(url, json=body, timeout=TIMEOUT_S)
        text = response.text
        response.raise_for_status()
        data = response.json()["data"]
        return [hit for hit in data["hits"] if hit["file_id"] and hit["file_name"]], int(data["pagination"]["total"])
    except requests.HTTPError as error:
        raise PathPluginsError(f"{url}: {error}: {text[:300]}") from error
    except requests.JSONDecodeError as error:
        raise PathPluginsError(f"{url} answers {text[:100]!r}, which is not JSON; check --api") from error
    except requests.RequestException as error:
        raise PathPluginsError(f"{url} cannot be reached: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PathPluginsError(
            f"{url} answers {text[:100]!r}; expected data.hits and data.pagination; check --api"
        ) from error


def write_manifest(path: Path, files: Iterable[GdcFile]) -> None:
    """Write a manifest for gdc-client."""
    lines = ["\t".join(COLUMNS), *("\t".join(_cells(file)) for file in files)]
    write_text_whole(path, "\n".join([*lines, ""]))


def _cells(file: GdcFile) -> tuple[str, ...]:
    return file.id, file.name, file.md5, "" if file.size is None else str(file.size), file.state


def read_manifest(path: Path) -> list[GdcFile]:
    """Read the files of a manifest, written here or by the GDC portal; each once.

    Raises:
        PathPluginsError: not a manifest, or rows that are wrong, all in one report.
    """
    reader = csv.DictReader(read_lines(path, wanted="a GDC manifest"), delimiter="\t", quoting=csv.QUOTE_NONE)
    names = reader.fieldnames or ()
    if not {"id", "filename"} <= {*names}:
        raise PathPluginsError(
            f"{path} has the columns {', '.join(names) or 'none'}; expected {', '.join(COLUMNS)}; "
            "write it with `pathdata pathgen manifest`, or save it from the GDC portal"
        )
    files: dict[str, GdcFile] = {}
    faults = []
    for row in reader:
        cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
        if fault := _fault(cells):
            faults.append(f"{path}:{reader.line_num}: {fault}")
            continue
        size = int(cells["size"]) if cells["size"] else None
        file = GdcFile(cells["id"].lower(), cells["filename"], cells["md5"].lower(), size, cells["state"])
        files.setdefault(file.id, file)
    if faults:
        raise PathPluginsError(f"{path}: {len(faults)} rows cannot be used; correct them:\n{first_shown(faults)}")
    return [*files.values()]


def _fault(cells: dict[str, str]) -> str:
    """Return why a row cannot be used, ``""`` if it can; its id and name become a path."""
    if not is_uuid(cells["id"]):
        return f"id is {cells['id']!r}, expected a UUID"
    name = cells["filename"]
    if not name or "/" in name or "\\" in name or name in (".", "..") or not name.isprintable():
        return f"filename is {name!r}, expected a name without folders"
    if cells["md5"] and not _MD5.fullmatch(cells["md5"]):
        return f"md5 is {cells['md5']!r}, expected 32 hexadecimal digits, or nothing"
    if cells["size"] and not (cells["size"].isascii() and cells["size"].isdecimal()):
        return f"size is {cells['size']!r}, expected a number of bytes, or nothing"
    return ""
