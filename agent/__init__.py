"""The node: its vocabulary (content), its protocols (wire, swarm) and what performs them (store, origin, http,
node).
"""
