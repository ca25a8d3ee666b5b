"""How memory, latency and quality grow with batch, concurrency, context and resolution."""
