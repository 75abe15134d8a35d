"""The official WSI-LLaVA (ICCV 2025): LLaVA-1.5 whose vision tower is bypassed."""
