"""The report's sections: each is one file with a template of the same name and a `context(compared) -> dict | None`."""
