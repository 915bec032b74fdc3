"""Statistics of paired comparisons: arrays in, result objects out. numpy and scipy only; nothing here reads a
file, a clock or an unseeded random number.

scipy is imported where a function needs it: deciding on yes/no answers needs none of it, and loading it takes longer
than a thousand scripted cases.

intervals    ranges of rates, means and any statistic
paired       two models on the same cases: compare_paired, McNemar, Tango, sign flips, Holm, Benjamini-Hochberg
power        what a number of cases can show, and how often the rule gives each answer
guards       alarms per set, one pooled proof
repeats      several samples of one case: pass@k, pass^k
agreement    two judges or many, and a judge in place of people
sequential   stopping early, validly
preference   win rates, both orders, position bias, ties, strengths, length
forgetting   what a chain of candidates kept

Behind them: values and clusters (plain numbers, dependent cases); flips, signflip and multiplicity, which `paired`
names; winrate, strength and length, which `preference` names.
"""
