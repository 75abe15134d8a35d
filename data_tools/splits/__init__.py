"""Divide files of samples into train, valid and test: tables, JSON of conversations, folders of bags, patch sets."""
