"""PathGen-CLIP: names, activations and licences hang together."""

from pathplugins.published.open_clip import ACTIVATIONS
from pathplugins.published.pathgen_clip import BY_NAME, CHECKPOINTS, activation_question, checkpoint_of_file


def test_files_lead_to_their_row_by_exact_name() -> None:
    assert checkpoint_of_file("pathgenclip.pt") is checkpoint_of_file("pathgen-clip.pt") is BY_NAME["pathgen-clip"]
    assert checkpoint_of_file("pathgen-clip-l.pt") is BY_NAME["pathgen-clip-l"]
    assert checkpoint_of_file("my-pathgenclip.pt") is None


def test_an_activation_that_all_sources_agree_on_is_taken_and_no_other() -> None:
    for row in CHECKPOINTS:
        says = {statement.says for statement in row.activation_statements}
        assert says <= {*ACTIVATIONS}
        assert row.activation == (says.pop() if len(says) == 1 else None)
    assert BY_NAME["pathgen-clip"].open_clip_name == "ViT-B-16"
    assert BY_NAME["pathgen-clip-l"].open_clip_name == "ViT-L-14-336-quickgelu"


def test_the_narrower_licence_is_shown_and_both_are_kept() -> None:
    large = BY_NAME["pathgen-clip-l"].licence
    assert large.shown == "CC-BY-NC-4.0"
    assert [statement.says for statement in large.statements] == ["cc-by-nc-4.0", "cc-by-2.0"]
    assert large.contradicted
    assert not BY_NAME["pathgen-clip"].licence.contradicted


def test_the_question_names_every_source_and_both_ways_to_answer() -> None:
    asked = activation_question("x.pt", BY_NAME["pathgen-clip"])
    assert asked.startswith("x.pt: the weights do not tell the activation")
    assert "gelu: its model card" in asked
    assert "force_quick_gelu" in asked
    assert "--activation quick_gelu or gelu" in asked
    assert "known of" not in activation_question("x.pt")
