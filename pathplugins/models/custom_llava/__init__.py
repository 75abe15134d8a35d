"""The Hugging Face three files of `custom_llava`: configuration, model, processor."""
