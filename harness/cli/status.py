"""Exit statuses of the command line; those to INVALID are plain pytest's as well."""

PASSED = 0
FAILED = 1
INTERRUPTED_PYTEST = 2
USAGE = 4
INCONCLUSIVE = 10
INVALID = 11
INTERRUPTED = 130
