"""Scores that other tools gave: read from their files, paired by case, judged as if the suites had given them.

One module per format turns bytes into values; `reading` opens files and folders; `pairing` puts two sides together;
`comparison` makes the run record from which verdict and report follow.
"""
