"""Judging over HTTP: requests of many people through one engine, nothing kept. FastAPI is imported nowhere else."""
