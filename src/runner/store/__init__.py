"""The store of generations: a durable cache, so that no question is asked twice and no received answer is lost.

Each engine identity has one JSONL file, a *shelf*, under `$RUNNER_STORE` (default multirun/.store):

    lines.py     the format of a line, and its checksum
    shelf.py     appending to a shelf and looking up answers
    upkeep.py    ls, verify and gc, on all shelves of a store
    command.py   python -m runner.store
"""

from runner.store.lines import as_json, digest, digest_of_json, from_json, to_json
from runner.store.shelf import Conditions, Shelf

__all__ = ["Conditions", "Shelf", "as_json", "digest", "digest_of_json", "from_json", "to_json"]
