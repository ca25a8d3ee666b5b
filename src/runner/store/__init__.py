"""The store of generations: what was asked once need not be asked again, and nothing received is lost.

One JSONL file, a *shelf*, per engine identity under `$RUNNER_STORE` (default multirun/.store):

    lines.py     what a line holds, and how damage to it is seen
    shelf.py     appending and finding
    upkeep.py    ls, verify and gc, on all shelves of a store
    command.py   python -m runner.store
"""

from runner.store.lines import as_json, digest, digest_of_json, from_json, to_json
from runner.store.shelf import Conditions, Shelf

__all__ = ["Conditions", "Shelf", "as_json", "digest", "digest_of_json", "from_json", "to_json"]
