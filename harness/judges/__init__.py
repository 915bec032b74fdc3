"""Judges as measuring instruments: what they are asked, how their replies are read, and what is known of them.

A judge compares a candidate's and a baseline's answer in both orders. What it does with pairs whose right verdict is
known stands on its card; without a good one it decides nothing.
"""

from __future__ import annotations
