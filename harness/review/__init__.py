"""Blind human review: cases for people who do not know which model they read, and what their answers prove.

`selection` chooses cases, `plain` takes giveaways out of the texts, `blinding` gives each reviewer a form with sides
drawn by a seed, `seal` keeps the key in the run's folder; `returned` checks what comes back, `opinions` are the answers
unblinded, `kept` is where they lie, `findings` what they add up to, `criteria` what the gate makes of them, `replaced`
what was started over.
"""
