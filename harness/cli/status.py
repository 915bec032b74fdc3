"""Exit statuses of the command line; the first four are plain pytest's with the plugin as well."""

PASSED = 0
FAILED = 1
USAGE = 4
INCONCLUSIVE = 10
INVALID = 11
INTERRUPTED = 130
