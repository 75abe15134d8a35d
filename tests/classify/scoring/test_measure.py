"""Measures: undefined ones carry a reason, and never become a number."""

from __future__ import annotations

import json

import numpy as np

from pathplugins.classify.scoring.measure import divided, mean_of_defined, measure, undefined


def test_percentiles_of_the_defined_resamples() -> None:
    values = np.concatenate([[0.5], np.linspace(0, 1, 101), [np.nan] * 7])
    found = measure(values, units=9)
    assert (found.value, found.reason) == (0.5, "")
    assert np.allclose([found.low, found.high], [0.025, 0.975])
    assert found.as_json() == {"value": 0.5, "low": found.low, "high": found.high}


def test_what_is_undefined_says_why() -> None:
    assert measure(np.array([np.nan, 0.5, 0.5]), 3, "no sample is 'a'") == undefined("no sample is 'a'")
    one = measure(np.array([0.5, 0.5]), units=1)
    rare = measure(np.array([0.5, np.nan, np.nan, 0.4]), units=3)
    assert (one.value, one.low, rare.value, rare.high) == (0.5, None, 0.5, None)
    assert "needs two" in one.as_json()["no_interval"]
    assert "most resamples" in rare.reason
    sure = measure(np.ones(100), units=9)
    assert (sure.value, sure.low, sure.reason) == (1.0, None, "no interval: the same on every resample")
    told = undefined("why").as_json()
    assert told == {"value": None, "low": None, "high": None, "undefined": "why"}
    assert "NaN" not in json.dumps([told, one.as_json(), rare.as_json()])


def test_means_leave_out_what_is_undefined() -> None:
    shares = divided(np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 0.0]]), np.array([[2.0, 0.0, 4.0], [0.0, 0.0, 0.0]]))
    assert np.array_equal(shares, [[0.5, np.nan, 0.75], [np.nan] * 3], equal_nan=True)
    assert np.array_equal(mean_of_defined(shares), [0.625, np.nan], equal_nan=True)
