"""Answers that exist already, from this runner or from elsewhere: one file per format, all yield `AnswerSet`."""

from runner.answer_files.api import AnswerSet
from runner.answer_files.matching import joined
from runner.answer_files.opening import open_answers

__all__ = ["AnswerSet", "joined", "open_answers"]
