"""Lets the tests of this folder import their helpers: `scripted_endpoint`, `fake_backend`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
