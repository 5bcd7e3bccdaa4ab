"""Aligned fakes: photographs through the last stage of a generator, so that a pair differs in the trace alone."""
