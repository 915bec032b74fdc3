"""Training data: formats and leakage."""
