"""Names, errors, units and the list of host symbols: standard library only."""
