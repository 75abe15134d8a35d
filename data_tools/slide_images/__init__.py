"""Slides as several pictures: choose patches of each slide, write them as files, and name them in records.

``sources`` finds the patches of slides, ``choice`` says which, ``pictures`` writes them, ``samples`` reads what is
asked, ``match`` joins it with the patches, ``wording`` puts the pictures into the text, ``write`` makes the file of
samples, ``convert`` does all of it.
"""
