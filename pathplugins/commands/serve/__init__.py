"""``pathplugins serve``: one model behind an OpenAI-compatible interface."""
