"""This repository's own tests use pytest's test fixture for plugins."""

pytest_plugins = ["pytester"]
