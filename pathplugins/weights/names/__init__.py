"""Names of weights in other projects, and ours for them."""
