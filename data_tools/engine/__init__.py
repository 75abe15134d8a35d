"""The engine: many slides, one after the other or side by side, through the same steps, and what became of each.

``jobs`` does one slide, ``locks`` keeps two processes from doing the same one, ``state`` remembers, ``pools`` are the
places where slides are done (this process, processes of this machine, Ray), ``schedule`` hands slides to a pool.
"""
