"""The engine: take many slides through the same steps, one by one or side by side, and record the result of each.

``jobs`` does one slide, ``locks`` keeps two processes from doing the same one, ``state`` records results, ``pools`` and
``ray_pool`` are the places where slides are done (this process, processes of this machine, a Ray cluster), ``run``
hands slides to a pool, ``launch`` does all of that for a command, ``progress`` shows it, ``outcome`` compares files on
disk with those asked for.
"""
