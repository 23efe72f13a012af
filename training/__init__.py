"""Reproduces the networks on ACDC and the attack study; never installed with the extension."""
