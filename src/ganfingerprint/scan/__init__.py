"""Millions of files to a table: sources → decoders (processes) → engine → shards.

sources.py    what there is to judge, one item at a time
archives.py   the same of zip and tar archives
item.py       one of them: where its bytes are, and reading them
decoders.py   processes that decode and cut windows; a file that kills or stops one is a row
judging.py    items to rows, equal bytes once
cluster.py    the same on the machines of a Ray cluster
writer.py     Parquet shards, each whole or not there, that a later run goes on from
schema.py     the columns
settings.py   how to scan
run.py        the road from the one to the other
query.py      questions to the table, while it grows
"""
