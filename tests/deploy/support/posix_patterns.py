"""Patterns and values as JSON on standard input; which values match, by RE2 as POSIX egrep reads.

[["^a$", ["a", "b"]]] gives [[true, false]]; a pattern that is no egrep is an error. Runs in the
environment of google.txt.
"""

from __future__ import annotations

import json
import sys

import re2

options = re2.Options()
options.posix_syntax = True
options.one_line = True
matched = []
for pattern, values in json.load(sys.stdin):
    compiled = re2.compile(pattern, options)
    matched.append([compiled.search(value) is not None for value in values])
json.dump(matched, sys.stdout)
