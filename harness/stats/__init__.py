"""Statistics of paired comparisons: arrays in, result objects out. numpy and scipy only; nothing here reads a
file, a clock or an unseeded random number.

scipy is imported where a function needs it: deciding on yes/no answers needs none of it, and loading it takes longer
than a thousand scripted cases.

intervals    ranges of rates, means and any statistic
flips        yes/no answers in pairs: McNemar, Tango
signflip     the sign-flip test
multiplicity Holm, Benjamini-Hochberg
paired       two models on the same cases
power        what a number of cases can show
guards       alarms per set, one pooled proof
repeats      several samples of one case
"""
