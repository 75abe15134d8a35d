"""Patch encoders: one row each, by kind; a new encoder is one row in one of these modules, and its test.

``checked`` says who publishes the numbers of a row: the model card, the published code, or loaders of other projects
that agree. No row was run with the published weights here: a fact that shapes do not show (normalisation, activation,
epsilon) is as good as its source.
"""

from pathplugins.published.encoders.convolutional import CONVOLUTIONAL
from pathplugins.published.encoders.ctranspath import CTRANSPATH
from pathplugins.published.encoders.general import GENERAL
from pathplugins.published.encoders.hibou import HIBOU
from pathplugins.published.encoders.kaiko import KAIKO
from pathplugins.published.encoders.lunit import LUNIT
from pathplugins.published.encoders.ptcga import PTCGA200
from pathplugins.published.encoders.self_supervised import SELF_SUPERVISED
from pathplugins.published.encoders.with_text import WITH_TEXT

CARDS = (
    *SELF_SUPERVISED,
    *HIBOU,
    *KAIKO,
    *LUNIT,
    *WITH_TEXT,
    *CTRANSPATH,
    *CONVOLUTIONAL,
    *PTCGA200,
    *GENERAL,
)
"""In the order of the printed table."""
