"""PathGen: from its JSON to slides and pairs, and its pipeline on slides of your own."""
