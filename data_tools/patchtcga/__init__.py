"""PatchTCGA's data sets: unpack their archives and report what is in them."""
