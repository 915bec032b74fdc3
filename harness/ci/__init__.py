"""A run told where people work: in the terminal, in a job's log and on a pull request."""
