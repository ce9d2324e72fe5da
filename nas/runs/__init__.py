"""What is on disk: jobs, results, run folders."""
