"""Score free-text answers: what they say, and what they are worth against the right ones."""
