"""Decides with evidence which vision-language model, quantisation, engine and prompts read your documents best."""

__version__ = "0.1.0"
