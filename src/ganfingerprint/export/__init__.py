"""The network for engines other than torch: a graph from pixels to all its outputs, checked against torch."""
