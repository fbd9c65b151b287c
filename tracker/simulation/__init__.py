"""PURE: a cluster simulated with the real code of agent.swarm and tracker.directory: a heap of timed events, seeded.

`cluster.Cluster` runs a `scenario.Scenario`, `report.Report` says what came of it; scenarios.py is the table of named
ones. What a daemon does with I/O is done here by node.py, download.py, reads.py and session.py, each a counterpart of a
file of agent/node. Pictures are drawn elsewhere (tracker/pictures).
"""
