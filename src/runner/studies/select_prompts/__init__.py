"""Chooses the best prompt per (doc_class, field) on a development split, writes a collection, confirms it elsewhere."""
