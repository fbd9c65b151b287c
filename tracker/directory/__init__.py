"""PURE: the directory of swarms, its hand-out of peers and origin leases, tags. Time is `now`, chance is `rng`.

`tracker.Tracker` is the whole of it, for the server and for simulations. Nothing here does I/O: what is worth a log
line comes out as events, what is worth a metric as counters.
"""
