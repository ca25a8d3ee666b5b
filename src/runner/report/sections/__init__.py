"""The report's sections. Each is a module with a template of the same name and a function `context`.

`context(compared, decision)` returns the template's variables, or None if there is nothing to show.
"""
