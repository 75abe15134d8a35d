"""Published slide models beside GigaPath: what each reads and gives, and how its features or weights are used here."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.published.encoders.sources import TRIDENT, said_by
from pathplugins.published.licence import Licence

HUGGINGFACE = "https://huggingface.co/"


@dataclass(frozen=True, kw_only=True)
class SlideModel:
    """One slide model."""

    name: str
    """What bags of its features name in place of a patch encoder."""
    title: str
    patch_encoder: str
    """Whose features it reads."""
    width: int
    """Of what it gives."""
    gives: str
    """Rows of a bag of it."""
    source: str
    licence: Licence
    use: str
    """What can be done with it here, in a sentence."""
    hub_id: str | None = None


def _as_features(name: str, how: str) -> str:
    return (
        f"its code lies on its gated page, under a licence that allows no changed copies, so nothing here imitates it; "
        f"compute {how} with that code, write them as H5 bags with the attribute encoder = {name!r}, and set "
        f"vision_model_name: features, vision_config: {{encoder: {name}}}"
    )


PRISM = SlideModel(
    name="prism",
    title="PRISM",
    patch_encoder="virchow",
    width=1280,
    gives="512 latents and a slide embedding",
    source=f"{HUGGINGFACE}paige-ai/Prism; the example of ANTONI-Alpha holds (513, 1280)",
    licence=said_by("CC-BY-NC-ND-4.0", f"{HUGGINGFACE}paige-ai/Prism"),
    hub_id="paige-ai/Prism",
    use=_as_features("prism", "its latents (slide_representations)"),
)
TITAN = SlideModel(
    name="titan",
    title="TITAN",
    patch_encoder="conch-v1.5",
    width=768,
    gives="a slide embedding",
    source=f"{HUGGINGFACE}MahmoodLab/TITAN",
    licence=said_by("CC-BY-NC-ND-4.0", "README of TITAN, https://github.com/mahmoodlab/TITAN", TRIDENT),
    hub_id="MahmoodLab/TITAN",
    use=_as_features("titan", "its slide embeddings (encode_slide_from_patch_features)")
    + "; or give the connector its patch features: vision_config: {encoder: conch-v1.5}",
)
CHIEF = SlideModel(
    name="chief",
    title="CHIEF",
    patch_encoder="ctranspath",
    width=768,
    gives="the mean of the features by its attention",
    source="https://github.com/hms-dbmi/CHIEF at 724a374, models/CHIEF.py",
    licence=said_by("GPL-3.0, non-commercial academic purposes", "README of CHIEF, https://github.com/hms-dbmi/CHIEF"),
    use="set vision_model_name: abmil, vision_tower: CHIEF_pretraining.pth (vision_config: {tokens: features} for its "
    "slide feature, 768 wide)",
)


def _feather(encoder: str, spelt: str) -> SlideModel:
    hub_id = f"MahmoodLab/abmil.base.{spelt}.pc108-24k"
    return SlideModel(
        name="feather",
        title=f"Feather of {encoder}",
        patch_encoder=encoder,
        width=512,
        gives="the mean of embedded patches by its attention",
        source="https://github.com/mahmoodlab/MIL-Lab at 186fe41, src/models/abmil.py and README",
        licence=said_by("CC-BY-NC-ND-4.0", "README of MIL-Lab, https://github.com/mahmoodlab/MIL-Lab"),
        hub_id=hub_id,
        use=f"set vision_model_name: abmil, vision_tower: the folder that `hf download {hub_id}` wrote",
    )


FEATHER_BY_WIDTH = {
    768: _feather("conch-v1.5", "conch_v15"),
    1024: _feather("uni", "uni"),
    1536: _feather("uni2-h", "uni_v2"),
}
"""Width of the patch features -> the model."""
SLIDE_MODELS = (PRISM, TITAN, CHIEF, *FEATHER_BY_WIDTH.values())
WIDTHS = {model.name: model.width for model in SLIDE_MODELS}
"""Name in a bag -> width."""
NOT_TOWERS = {model.name: f"{model.title.split(' of ')[0]}: {model.use}" for model in reversed(SLIDE_MODELS)}
"""Name that somebody may give a tower -> what to do instead."""
