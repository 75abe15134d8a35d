"""Commands of ``pathdata``, one per module: ``add_options`` declares its options, ``run`` does the work."""
