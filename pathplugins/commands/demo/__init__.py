"""``pathplugins demo``: train and ask a tiny model on CPU."""
