"""Wrong types of values in a YAML, and on the command line, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """LLaMA-Factory's reading of ``run.yaml`` with these lines, and of ``key=value`` words behind it."""
    from llamafactory.hparams import parser

    def read(text: str, *words: str) -> Any:
        path = tmp_path / "run.yaml"
        path.write_text(f"model_name_or_path: custom_llava\n{text}")
        monkeypatch.setattr("sys.argv", ["llamafactory-cli", str(path), *words])
        return parser.read_args()

    return read


def test_every_wrong_value_is_named_with_the_file(read: Callable[..., Any]) -> None:
    lines = ["projector_dropout: true", "image_seq_length: [1, 2]", "vision_tower: 5", "on_bad_sample: skipp"]
    lines += ["keep_gamma: null", "learning_rate: fast", "logging_steps: [10]", "bf16: false"]
    with pytest.raises(PathPluginsError) as raised:
        read("\n".join(lines), "patches_per_wsi=many")
    *problems, advice = str(raised.value).splitlines()
    assert sorted(problems) == [
        "image_seq_length: got the list [1, 2], wanted a whole number",
        "keep_gamma: got nothing (null), wanted true or false",
        "learning_rate: got the text 'fast', wanted a number",
        "logging_steps: got the list [10], wanted a number",
        "on_bad_sample: got the text 'skipp', wanted error or skip; did you mean 'skip'?",
        "patches_per_wsi: got the text 'many', wanted a whole number",
        "projector_dropout: got true, wanted a number",
        "vision_tower: got 5, wanted text",
    ]
    assert advice.startswith("correct these values in ")
    assert advice.endswith("run.yaml")


def test_what_the_trainer_takes_is_left_alone(read: Callable[..., Any]) -> None:
    lines = ["learning_rate: '1e-4'", "report_to: none", "save_steps: 0.5", "vision_tower: null", "lora_target: all"]
    found = read("\n".join(lines), 'vision_config={"num_heads":4}', "gamma_min=1")
    assert found["learning_rate"] == "1e-4"
    assert (found["gamma_min"], found["vision_tower"]) == (1, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{depth: 2", r"vision_config: '\{depth: 2' is not JSON"),
        ("[2]", r"vision_config: got '\[2\]', wanted a mapping"),
    ],
)
def test_a_mapping_of_a_command_line_that_is_none(text: str, said: str) -> None:
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    with pytest.raises(PathPluginsError, match=said + r".*write it as '\{\"name\": value\}'"):
        PathModelArguments(model_name_or_path="custom_llava", vision_config=text)


def test_a_wrong_value_from_python_is_named_too() -> None:
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    with pytest.raises(PathPluginsError, match="patches_per_wsi: got the text '7', wanted a whole number\ncorrect the"):
        PathModelArguments(model_name_or_path="custom_llava", patches_per_wsi="7")
