"""Decides with evidence which vision-language model, quantisation, engine and prompts read your documents best."""

import os

# No telemetry, from here or from what is started here. Said before huggingface_hub is imported, which reads it once.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"

from runner.base import moved

moved.install()
