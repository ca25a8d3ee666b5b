"""Prompts: what is said to a model about a sample, checked against a whole dataset before anything is started.

`load_prompt(PromptConfig(...))` gives a `Prompt`; `prompt.check(samples)` says what is missing, `prompt.render(sample)`
renders it once, and the `turns(images)` of that are the messages.
"""

from runner.config.prompt import PromptConfig
from runner.prompts.loading import load_prompt
from runner.prompts.prompt import Prompt, Rendered
from runner.prompts.template import PromptError

__all__ = ["Prompt", "PromptConfig", "PromptError", "Rendered", "load_prompt"]
