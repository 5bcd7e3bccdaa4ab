"""Measuring a detector: metrics, intervals, protocol, figures and summary. Imports nothing heavy by itself."""
