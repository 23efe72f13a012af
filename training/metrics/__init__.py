"""Dice, and intervals by bootstrap over patients."""
