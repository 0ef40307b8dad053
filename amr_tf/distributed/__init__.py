"""Several devices and several machines: the strategy, the cluster and what its workers agree on."""
