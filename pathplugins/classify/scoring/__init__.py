"""Score predictions on labelled patches: plain arrays in, metrics with intervals, files and one HTML page out.

Axes: N samples, K classes, B resamples. A function that returns ``[1 + B]`` gives the value on the data first and then
that on every resample, so that a metric is written once and `measure` turns it into a value with its interval.
"""
