"""Answers that exist already, from this runner or from elsewhere: one file per format, all yield `AnswerSet`."""

from runner.jobs.answer_files.api import AnswerSet
from runner.jobs.answer_files.matching import joined
from runner.jobs.answer_files.opening import open_answers

__all__ = ["AnswerSet", "joined", "open_answers"]
