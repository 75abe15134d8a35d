"""ANTONI-Alpha's published weights, in."""
