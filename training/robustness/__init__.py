"""The attack study and the study of a scanner's faults."""
