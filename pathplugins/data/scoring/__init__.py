"""Score free-text answers: read what they say, compare it with the right answers."""
