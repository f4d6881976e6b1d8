"""Synthetic conversations with their truth, figures about data sets, and foreign formats."""
