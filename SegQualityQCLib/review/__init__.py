"""Review: who reviews which case, what was decided, and how the scores did."""
