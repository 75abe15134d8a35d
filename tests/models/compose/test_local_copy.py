"""Model parts by directory, file or hub id, offline (features A13, A40)."""

from __future__ import annotations

import logging
from fnmatch import fnmatch
from pathlib import Path

import pytest
from transformers import AutoConfig

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.local_copy import FILES, TOWER_FILES, local_copy
from pathplugins.models.compose.tiny_llm import TINY


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network, and a cache with one repository."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--OpenFace-CQUPT--Pathology-LLaVA"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "config.json").write_text("{}")
    return snapshot


def test_what_exists_is_itself(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute, for a path in a configuration must not depend on where a worker runs."""
    (tmp_path / "plip").mkdir()
    (tmp_path / "plip" / "w.bin").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    wanted = str(tmp_path / "plip")
    assert {local_copy(name, "--llm", FILES) for name in ("plip", "./plip", "~/plip", wanted)} == {wanted}
    assert local_copy("plip/w.bin", "--llm", FILES) == str(tmp_path / "plip" / "w.bin")


@pytest.mark.parametrize("name", ["/absent/llm", "./absent", "../absent", "~/absent"])
def test_a_path_is_not_taken_for_a_hub_id(hub: Path, name: str) -> None:
    with pytest.raises(PathPluginsError, match=rf"^vision_tower: {name} does not exist; correct the path or give a"):
        local_copy(name, "vision_tower", TOWER_FILES)


def test_a_near_path_is_suggested(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped relative path looks like a hub id."""
    (tmp_path / "models" / "Llama-3.2-1B").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PathPluginsError, match=r"; did you mean .*models/Llama-3\.2-1B\?$"):
        local_copy(str(tmp_path / "models" / "Llama-3.2-1"), "llm_name_or_path", FILES)
    with pytest.raises(PathPluginsError, match=r"or give a directory; did you mean models/Llama-3\.2-1B\?$"):
        local_copy("models/Llama-3.2-1", "--llm", FILES)


def test_a_hub_id_is_found_in_the_cache(hub: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert local_copy("OpenFace-CQUPT/Pathology-LLaVA", "--vision-tower", TOWER_FILES) == str(hub)
    assert "--vision-tower OpenFace-CQUPT/Pathology-LLaVA is no path here; fetching it" in caplog.text


@pytest.mark.parametrize("name", ["absent/model", "absent", "not a name!", "a/b/c"])
def test_what_cannot_be_fetched_is_one_sentence(hub: Path, name: str) -> None:
    with pytest.raises(
        PathPluginsError, match=rf"^--llm {name} is neither a path nor a hub rep.*hf auth login"
    ) as told:
        local_copy(name, "--llm", FILES)
    assert "\n" not in str(told.value)


def test_the_files_of_each_part_are_fetched_and_no_archives() -> None:
    plip = ["config.json", "plip_80w_196token.bin"]
    llm = ["config.json", "model-00001-of-00004.safetensors", "tokenizer.model", "chat_template.jinja", "merges.txt"]
    for patterns, names in ((TOWER_FILES, [*plip, "model.safetensors", "slide_encoder.pth"]), (FILES, llm)):
        assert [name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)] == []
        assert not any(fnmatch(name, p) for name in ("plip.tar.gz", "flax_model.msgpack") for p in patterns)


def test_the_untrained_model_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path))
    first = Path(local_copy(TINY, "--llm", FILES))
    written = (first / "model.safetensors").stat().st_mtime_ns
    assert Path(local_copy(TINY, "--llm", FILES)) == first
    assert first.parent == tmp_path
    assert (first / "model.safetensors").stat().st_mtime_ns == written
    assert AutoConfig.from_pretrained(first).tie_word_embeddings is False
