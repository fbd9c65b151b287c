"""Results of steps that are known already: on this node, and in the cluster."""
