"""How an engine runs: in which environment, under which watchdog, with how much memory."""
