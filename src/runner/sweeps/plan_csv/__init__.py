"""Plans of VLMHyperBench: reads its evaluation runs and says, writes or runs what they are here."""
