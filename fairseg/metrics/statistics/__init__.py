"""Statistics of a scores table: what can be said of the differences between groups, and what cannot."""
