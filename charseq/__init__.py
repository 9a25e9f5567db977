"""What the preparation and the training share: formats, files, commands and pages.

`pipeline` and `trainer` import this package; it imports neither of them.
"""
