"""`make demo`: a real image through a tracker and five agents, on this machine, with everything measured.

__main__ is the command, demo what happens in which order, machine_image and upstream what is pulled and from where,
node_pull one node's pull, progress and view what is shown meanwhile, verification and summary what is said in the end.
"""
