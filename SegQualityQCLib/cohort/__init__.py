"""Many cases: scored over processes or a cluster, ranked, and shown on one page, worst first."""
