"""What a run's figures are worth: noise, how well cheap figures rank, what was done as it should be."""
