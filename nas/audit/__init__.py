"""What a run's figures are worth: noise, correlations, probabilities, a checklist."""
