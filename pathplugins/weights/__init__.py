"""Read weights of any file: tensors only, never code; imports torch inside functions alone."""
