"""Engines: what computes the network. All obey one narrow contract, so nothing above branches on which it is."""

from ganfingerprint.engines.base import ENGINES, Engine, load_engine

__all__ = ["ENGINES", "Engine", "load_engine"]
