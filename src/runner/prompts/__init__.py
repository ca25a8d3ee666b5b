"""Prompts: the text that a model is sent about a sample. It is checked against the whole dataset before a job starts.

`load_prompt(PromptConfig(...))` returns a `Prompt`; `prompt.check(samples)` returns its problems.
`prompt.render(sample)` renders it once, and the `turns(images)` of the result are the messages.
"""

from runner.config.prompt import PromptConfig
from runner.prompts.loading import load_prompt
from runner.prompts.prompt import Prompt, Rendered
from runner.prompts.template import PromptError

__all__ = ["Prompt", "PromptConfig", "PromptError", "Rendered", "load_prompt"]
