"""PURE. One download as a state machine: events in, actions out; chunk choice, peer records, upload slots."""
