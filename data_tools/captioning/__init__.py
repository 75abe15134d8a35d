"""Captioning: what a vision-language model behind an OpenAI-compatible server says about patches."""
