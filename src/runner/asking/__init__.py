"""Asks an engine the questions of a job and stores each answer as it comes."""
