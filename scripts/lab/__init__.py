"""Real replica sets, a real plm and the comparison of both sides, for the whole-system tests and the demo."""
