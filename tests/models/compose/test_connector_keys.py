"""Keys of the connector: what is given becomes its options, what is not stays with the connector's defaults."""

from __future__ import annotations

import inspect

from pathplugins.models.compose.connector_keys import CONNECTOR_KEYS, connector_options
from pathplugins.models.connectors import CONNECTORS


def test_given_keys_become_options() -> None:
    given = {"gamma_min": 0.0, "gamma_max": None, "projector_dropout": 0.1, "image_seq_length": 9}
    assert connector_options(given) == {"scale_min": 0.0, "dropout": 0.1}


def test_every_key_is_an_option_of_the_published_connector() -> None:
    assert set(CONNECTOR_KEYS.values()) <= set(inspect.signature(CONNECTORS.get("gamma_mlp")).parameters)
