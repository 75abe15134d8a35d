"""``prompt_topk``: the patches that are most like the question (WSI-LLaVA, UCL)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector


class PromptTopK(TokenSelector):
    """Keep the ``budget`` tokens of highest cosine with the projected question, in their order among the candidates.

    A choice of rows has no gradient. The published code multiplies the kept tokens by sigmoid(cosine) while it trains,
    so that one reaches the projection, and not when it answers: the connector then meets tokens up to twice as large as
    those it was trained on. Here the factor's value is divided out again (a straight-through estimate): the gradient is
    that of the published factor, the tokens are the tower's own, in training and in generation.

    Args:
        vision_width: C.
        prompt_width: H.
        published_rescale: multiply by sigmoid(cosine) in training alone, for numbers to compare with the paper's.
    """

    needs_prompt = True

    def __init__(self, vision_width: int, prompt_width: int, *, published_rescale: bool = False) -> None:
        super().__init__(vision_width, prompt_width)
        self.published_rescale = published_rescale
        self.text_query_projection = nn.Linear(prompt_width, vision_width)

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose rows; the cosines of an empty question (of a batch without images) are those of the bias."""
        weight = self.text_query_projection.weight
        # One row, no vector: under ZeRO-3 DeepSpeed 0.16 gives the weight a gradient of another shape for a vector.
        query = self.text_query_projection(candidates.prompt[None].to(weight.dtype))[0]  # [C]
        cosine = F.cosine_similarity(query.float(), candidates.tokens.float(), dim=-1)  # [N]
        rows = cosine.topk(self.num_tokens(len(cosine), budget)).indices.sort().values  # [K]
        kept = candidates.tokens.index_select(0, rows)
        factor = cosine[rows].sigmoid().to(kept.dtype).unsqueeze(-1)  # [K, 1]
        if not self.published_rescale:
            kept = kept * (1 + factor - factor.detach())
        elif self.training:
            kept = kept * factor
        return Kept(rows, kept, cosine)
