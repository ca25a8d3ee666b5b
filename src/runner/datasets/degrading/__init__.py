"""Pages made worse on purpose, as phones, scanners and fax machines do (`dataset.degrade`).

`table` says what is done, `effects` does it, `geometry` says where a place of the page went.
"""
