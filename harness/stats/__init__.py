"""Statistics of paired comparisons; numpy and scipy only."""
