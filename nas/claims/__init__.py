"""What may be claimed of accuracies, how sure it is, and when more seeds would not tell more."""
