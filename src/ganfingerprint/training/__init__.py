"""Learning a detector: labelled pictures in, a detector folder out."""
