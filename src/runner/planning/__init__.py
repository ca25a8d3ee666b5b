"""From a composed configuration to a job that is known to be able to run."""
