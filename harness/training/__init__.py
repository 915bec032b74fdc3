"""The trainer that makes candidates."""
