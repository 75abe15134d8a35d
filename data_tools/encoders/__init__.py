"""Patch encoders: find one by name, build it, load weights under any project's names, encode a slide's patches.

Facts about published encoders are rows of ``pathplugins/published/encoders``.
"""
