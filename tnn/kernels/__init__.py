"""Compiled code on ndarrays."""
