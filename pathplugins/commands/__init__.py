"""The commands of ``pathplugins``: a module each with ``add_arguments(parser)`` and ``run(args)``, and shared ones."""
