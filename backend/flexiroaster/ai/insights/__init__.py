"""What is abnormal and why: anomalies, slow runs, error signatures, flaky stages, outages, causes of a failure."""
