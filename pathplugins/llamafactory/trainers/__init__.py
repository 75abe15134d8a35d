"""The trainer of each stage: LLaMA-Factory's own with what our models need."""

from pathplugins.core.registry import Registry

_HERE = "pathplugins.llamafactory.trainers"

TRAINERS = Registry(
    "stage",
    {
        "sft": f"{_HERE}.sft:SupervisedTrainer",
        "rm": f"{_HERE}.rm:RewardTrainer",
        "dpo": f"{_HERE}.dpo:PreferenceTrainer",
        "kto": f"{_HERE}.kto:MarkedAnswersTrainer",
    },
)
"""Stage -> trainer; a stage imports no other's, which may need what is not installed."""
