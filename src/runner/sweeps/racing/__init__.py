"""A race: the candidates of a sweep are asked block by block, and one that is shown to be worse stops.

checks.py       what can race, and by which measure
blocks.py       the random order of documents, and how large blocks are
standings.py    which candidate is shown to be worse than which
race.py         the rounds, and what becomes of each job
"""
