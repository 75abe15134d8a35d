"""``pathdata pathgen download``: whole files, checked, resumed; over HTTP and by gdc-client (P3, P34)."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def download(tmp_path: Path, pathdata: Run, gdc: Any) -> Run:
    """Write the manifest of all files of the server and run the command."""

    def run(*options: object, manifest: str | None = None) -> tuple[int, str]:
        path = tmp_path / "manifest.txt"
        path.write_text(manifest_of(gdc) if manifest is None else manifest)
        given = ("--yes", "--client", "http") if "--client" not in options else ("--yes",)
        return pathdata("pathgen", "download", path, "--out", tmp_path / "slides", "--api", gdc.url, *given, *options)

    return run


def manifest_of(gdc: Any) -> str:
    lines = [f"{key}\t{name}\t{gdc.md5(key)}\t{len(data)}\treleased" for key, (name, data) in gdc.files.items()]
    return "\n".join(["id\tfilename\tmd5\tsize\tstate", *lines, ""])


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def all_of(gdc: Any) -> dict[str, bytes]:
    return {f"{file_id}/{name}": data for file_id, (name, data) in gdc.files.items()}


def test_files_come_whole_into_the_layout_of_gdc_client(gdc: Any, download: Run, tmp_path: Path) -> None:
    for number in range(5):
        gdc.add(number, f"s{number}.svs")
    code, said = download("--workers", 3)
    assert code == 0, said
    assert files_in(tmp_path / "slides") == all_of(gdc)
    assert f"{tmp_path / 'slides'}: all 5 files are complete" in said
    code, said = download("--verify")
    assert code == 0
    assert "nothing is left to download" in said
    assert len(gdc.asked) == 5


def test_it_goes_on_where_it_was_cut_off(gdc: Any, download: Run, tmp_path: Path) -> None:
    file_id = gdc.add(1, "s.svs", os.urandom(9000))
    part = tmp_path / "slides" / file_id / "s.svs.partial"
    part.parent.mkdir(parents=True)
    part.write_bytes(gdc.files[file_id][1][:5000])
    assert download()[0] == 0
    assert gdc.asked == [(file_id, "bytes=5000-")]
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_ids_and_sums_in_capitals(gdc: Any, download: Run, tmp_path: Path) -> None:
    file_id = gdc.add(1, "s.svs")
    gdc.files["abcdef00-0000-4000-8000-000000000001"] = gdc.files.pop(file_id)
    lines = manifest_of(gdc).splitlines()
    assert download(manifest="\n".join([lines[0], lines[1].upper().replace("S.SVS", "s.svs")]))[0] == 0
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_a_partial_file_that_is_whole_is_asked_for_no_more(gdc: Any, download: Run, tmp_path: Path) -> None:
    file_id = gdc.add(1, "s.svs")
    part = tmp_path / "slides" / file_id / "s.svs.partial"
    part.parent.mkdir(parents=True)
    part.write_bytes(gdc.files[file_id][1])
    assert download()[0] == 0
    assert gdc.asked == []
    assert files_in(tmp_path / "slides") == all_of(gdc)


@pytest.mark.parametrize("left", [b"nonsense", b"n" * 20_000, b"n" * 9000], ids=["short", "long", "as long"])
def test_what_is_left_of_another_file_is_found_out(gdc: Any, download: Run, tmp_path: Path, left: bytes) -> None:
    file_id = gdc.add(1, "s.svs", os.urandom(9000))
    part = tmp_path / "slides" / file_id / "s.svs.partial"
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    assert download()[0] == 0
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_what_gdc_client_has_begun_is_begun_anew(gdc: Any, download: Run, tmp_path: Path) -> None:
    """gdc-client allocates the full length of a file and fills it in any order."""
    file_id = gdc.add(1, "s.svs", os.urandom(9000))
    part = tmp_path / "slides" / file_id / "s.svs.partial"
    state = part.parent / "logs" / "s.svs.parcel"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"state")
    part.write_bytes(gdc.files[file_id][1][:5000])
    assert download()[0] == 0
    assert gdc.asked == [(file_id, None)]
    assert files_in(tmp_path / "slides") == {**all_of(gdc), f"{file_id}/logs/s.svs.parcel": b"state"}


def test_a_server_without_ranges_sends_all_again(gdc: Any, download: Run, tmp_path: Path) -> None:
    file_id = gdc.add(1, "s.svs", os.urandom(9000))
    gdc.ranges, gdc.cuts = False, [4000]
    assert download()[0] == 0
    assert gdc.asked == [(file_id, None), (file_id, "bytes=4000-")]
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_another_part_than_the_one_asked_for_is_no_continuation(gdc: Any, download: Run, tmp_path: Path) -> None:
    file_id = gdc.add(1, "s.svs", os.urandom(9000))
    gdc.parts_from_start, gdc.cuts = True, [4000]
    assert download(manifest=f"id\tfilename\n{file_id}\ts.svs\n")[0] == 0
    assert gdc.asked == [(file_id, None), (file_id, "bytes=4000-")]
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_broken_connections_and_passing_faults_are_survived(gdc: Any, download: Run, tmp_path: Path) -> None:
    gdc.add(1, "s.svs", os.urandom(9000))
    gdc.faults, gdc.cuts = [(503, {}), (429, {"Retry-After": "0"})], [2000, 1000, 1000, 1000, 1000, 1000, 0, 0]
    assert download()[0] == 0
    starts = (2000, 3000, 4000, 5000, 6000, 7000, 7000, 7000)
    assert [asked for _, asked in gdc.asked] == [None, None, None, *(f"bytes={start}-" for start in starts)]
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_a_connection_that_brings_nothing_ends_the_file_and_keeps_what_came(
    gdc: Any, download: Run, tmp_path: Path
) -> None:
    file_id = gdc.add(1, "s.svs", os.urandom(9000))
    gdc.cuts = [3000] + [0] * 50
    code, said = download()
    assert code == 1
    assert "1 of 1 files failed" in said
    assert (tmp_path / "slides" / file_id / "s.svs.partial").stat().st_size == 3000
    gdc.cuts = []
    assert download()[0] == 0
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_a_wrong_sum_is_tried_once_more(gdc: Any, download: Run, tmp_path: Path) -> None:
    gdc.add(1, "s.svs")
    gdc.spoilt = 1
    assert download()[0] == 0
    assert len(gdc.asked) == 2
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_a_wrong_sum_that_stays_names_both_and_leaves_nothing(gdc: Any, download: Run, tmp_path: Path) -> None:
    import hashlib

    bad, good = gdc.add(1, "bad.svs"), gdc.add(2, "good.svs")
    manifest = manifest_of(gdc).replace(gdc.md5(bad), "0" * 32)
    code, said = download(manifest=manifest)
    assert code == 1
    assert f"bad.svs ({bad}): its md5 is {gdc.md5(bad)}, the manifest says {'0' * 32}" in said
    assert [key for key, _ in gdc.asked].count(bad) == 2
    assert {*files_in(tmp_path / "slides")} == {f"{good}/good.svs"}
    assert hashlib.md5(gdc.files[bad][1]).hexdigest() == gdc.md5(bad)


def test_a_wrong_size_names_both(gdc: Any, download: Run, tmp_path: Path) -> None:
    gdc.add(1, "s.svs", b"x" * 500)
    code, said = download(manifest=manifest_of(gdc).replace("\t500\t", "\t501\t"))
    assert code == 1
    assert "500 bytes came, the manifest says 501" in said
    assert files_in(tmp_path / "slides") == {}


def test_all_failures_are_in_one_report_and_the_others_are_had(gdc: Any, download: Run, tmp_path: Path) -> None:
    good = gdc.add(1, "good.svs")
    manifest = manifest_of(gdc)
    for number in (7, 8):
        manifest += f"00000000-0000-4000-8000-{number:012d}\tgone{number}.svs\t\t\t\n"
    code, said = download(manifest=manifest)
    assert code == 1
    report = said[said.index("2 of 3 files failed:") :]
    assert report.count("404 Client Error") == 2
    assert "gone7.svs: failed: 404 Client Error" in said
    assert "2 of 3 files have no md5" in said
    assert {*files_in(tmp_path / "slides")} == {f"{good}/good.svs"}


def test_without_sums_and_sizes_it_takes_what_comes(gdc: Any, download: Run, tmp_path: Path) -> None:
    file_id = gdc.add(1, "s.svs", os.urandom(9000))
    gdc.cuts = [4000]
    manifest = f"id\tfilename\tmd5\tsize\tstate\n{file_id}\ts.svs\t\t\t\n"
    assert download(manifest=manifest)[0] == 0
    assert files_in(tmp_path / "slides") == all_of(gdc)


def test_a_file_of_another_size_or_sum_is_had_again(gdc: Any, download: Run, tmp_path: Path) -> None:
    one, two = gdc.add(1, "one.svs"), gdc.add(2, "two.svs")
    for file_id, name, content in ((one, "one.svs", b"short"), (two, "two.svs", b"X" + gdc.files[two][1][1:])):
        (tmp_path / "slides" / file_id).mkdir(parents=True)
        (tmp_path / "slides" / file_id / name).write_bytes(content)
    assert download()[0] == 0
    assert {key for key, _ in gdc.asked} == {one}  # of the other the size is right, and nobody asked for more
    assert download("--verify")[0] == 0
    assert files_in(tmp_path / "slides") == all_of(gdc)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("../../x\ts.svs\t\t\t", "id is '../../x', expected a UUID"),
        ("00000000-0000-4000-8000-000000000001\t../s.svs\t\t\t", "filename is '../s.svs'"),
        ("00000000-0000-4000-8000-000000000001\ts.svs\tabc\t\t", "md5 is 'abc'"),
        ("00000000-0000-4000-8000-000000000001\ts.svs\t\t-5\t", "size is '-5'"),
        ("00000000-0000-4000-8000-000000000001", "filename is ''"),
    ],
)
def test_bad_rows_of_a_manifest_stop_it_before_it_starts(gdc: Any, download: Run, row: str, said: str) -> None:
    code, text = download(manifest=f"id\tfilename\tmd5\tsize\tstate\n{row}\n{row}\n")
    assert code == 2
    assert text.count(said) == 2
    assert "manifest.txt:2" in text
    assert gdc.asked == []


def test_what_is_no_manifest_is_told(download: Run) -> None:
    code, said = download(manifest="a,b\n1,2\n")
    assert code == 2
    assert "has the columns a,b; expected id, filename, md5, size, state" in said


def test_killed_at_a_random_moment_it_goes_on(gdc: Any, download: Run, tmp_path: Path) -> None:
    for number in range(3):
        gdc.add(number, f"s{number}.svs", os.urandom(400_000))
    gdc.pause_s = 0.002
    (tmp_path / "manifest.txt").write_text(manifest_of(gdc))
    command = [sys.executable, "-m", "pathplugins.data_tools", "pathgen", "download", str(tmp_path / "manifest.txt")]
    options = ["--out", str(tmp_path / "slides"), "--api", gdc.url, "--client", "http", "--yes", "--workers", "2"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not any(path.stat().st_size for path in tmp_path.rglob("*.partial")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [*tmp_path.rglob("*.partial")]
    gdc.pause_s = 0
    before = len(gdc.asked)
    code, said = download()
    assert code == 0, said
    assert any(asked for _, asked in gdc.asked[before:])
    assert {name: data for name, data in files_in(tmp_path / "slides").items() if ".lock" not in name} == all_of(gdc)


def test_two_runs_do_not_write_one_file(gdc: Any, download: Run, tmp_path: Path) -> None:
    from pathplugins.data_tools.engine.locks import holding

    file_id = gdc.add(1, "s.svs")
    with holding(tmp_path / "slides" / file_id / ".s.svs.lock"):
        code, said = download()
    assert code == 1
    assert f"another download has the file locked by process {os.getpid()}" in said


def test_terms_are_shown_and_wanted(gdc: Any, tmp_path: Path, pathdata: Run) -> None:
    gdc.add(1, "s.svs")
    (tmp_path / "manifest.txt").write_text(manifest_of(gdc))
    code, said = pathdata("pathgen", "download", tmp_path / "manifest.txt", "--out", tmp_path, "--api", gdc.url)
    assert code == 2
    assert "TCGA slides from the GDC: open access" in said
    assert "pass --yes" in said
    assert gdc.asked == []


GDC_CLIENT = """#!{python}
import csv, os, sys
words = sys.argv[1:]
assert words[0] == "download", words
options = dict(zip(words[1::2], words[2::2]))
open({log!r}, "w").write(repr(options))
for row in csv.DictReader(open(options["-m"]), delimiter="\\t", quotechar="#"):
    folder = os.path.join(options["-d"], row["id"])
    os.makedirs(os.path.join(folder, "logs"), exist_ok=True)
    open(os.path.join(folder, "logs", row["filename"] + ".parcel"), "w").close()
    data = open(os.path.join({store!r}, row["id"]), "rb").read()
    if "bad" in row["filename"]:
        open(os.path.join(folder, row["filename"] + ".partial"), "wb").write(data)
        print("ERROR: unable to download", row["id"])
    else:
        open(os.path.join(folder, row["filename"]), "wb").write(data)
sys.exit({code})
"""


@pytest.fixture
def gdc_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gdc: Any) -> Callable[..., Path]:
    """Put a program on PATH that treats folders as gdc-client does; returns where it notes its options."""

    def install(code: int = 0) -> Path:
        store, log = tmp_path / "store", tmp_path / "options.txt"
        store.mkdir()
        for file_id, (_, data) in gdc.files.items():
            (store / file_id).write_bytes(data)
        program = tmp_path / "bin" / "gdc-client"
        program.parent.mkdir()
        program.write_text(GDC_CLIENT.format(python=sys.executable, store=str(store), log=str(log), code=code))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return log

    return install


def test_gdc_client_is_driven_where_it_is_on_path(
    gdc: Any, download: Run, gdc_client: Callable[..., Path], tmp_path: Path
) -> None:
    for number in range(3):
        gdc.add(number, f"s{number}.svs")
    log = gdc_client()
    code, said = download("--client", "auto", "--workers", 7)
    assert code == 0, said
    assert f"3 files by {tmp_path / 'bin' / 'gdc-client'}" in said
    there = {name: data for name, data in files_in(tmp_path / "slides").items() if "/logs/" not in name}
    assert there == all_of(gdc)
    options = eval(log.read_text())
    assert (options["-d"], options["-n"], options["-s"]) == (str(tmp_path / "slides"), "7", gdc.url)
    assert gdc.asked == []
    log.unlink()
    assert download("--client", "gdc-client")[0] == 0
    assert not log.exists()  # nothing was left to do


def test_failures_of_gdc_client_are_reported_and_its_beginnings_go_on_over_http(
    gdc: Any, download: Run, gdc_client: Callable[..., Path], tmp_path: Path
) -> None:
    gdc.add(1, "good.svs")
    bad = gdc.add(2, "bad.svs")
    gdc_client(code=1)
    code, said = download("--client", "gdc-client")
    assert code == 1
    assert f"ERROR: unable to download {bad}" in said
    assert f"bad.svs ({bad}): gdc-client ended with code 1 and left no complete file" in said
    assert "1 of 2 files failed" in said
    assert download("--client", "http")[0] == 0
    assert gdc.asked == [(bad, None)]


def test_gdc_client_that_is_not_there(gdc: Any, download: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gdc.add(1, "s.svs")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = download("--client", "gdc-client")
    assert code == 2
    assert "--client gdc-client: it is not on PATH" in said
    assert download("--client", "auto")[0] == 0
    assert len(gdc.asked) == 1
