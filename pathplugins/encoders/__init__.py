"""Patch encoders: find one by name, build it, load weights under any project's names, turn patches into features.

Facts about published encoders are rows of ``pathplugins/published/encoders``.
"""
