"""Get published files and slides: Hugging Face hub, GDC, their licence terms."""
