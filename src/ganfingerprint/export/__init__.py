"""The network for engines other than torch: a graph from pixels to logits and embeddings, checked against torch."""
