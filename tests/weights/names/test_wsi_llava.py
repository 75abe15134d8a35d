"""Names of the official WSI-LLaVA's weights."""

from pathplugins.weights.names.wsi_llava import sort_names


def test_names_are_sorted_by_part_with_and_without_the_adapters_prefix() -> None:
    names = [
        "model.embed_tokens.weight",
        "lm_head.weight",
        "model.layers.3.self_attn.rotary_emb.inv_freq",
        "model.mm_projector.0.weight",
        "base_model.model.model.mm_projector.2.bias",
        "model.vision_tower.vision_tower.vision_model.embeddings.class_embedding",
        "base_model.model.model.vision_tower.anything.at.all",
        "model.image_newline",
    ]
    found = sort_names({name: number for number, name in enumerate(names)})
    assert found.language == {"model.embed_tokens.weight": 0, "lm_head.weight": 1}
    assert found.connector == {"linear_1.weight": 3, "linear_2.bias": 4}
    assert found.bypassed == names[5:7]
    assert found.strange == names[7:]
