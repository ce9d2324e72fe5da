"""The executor of a Ray cluster: driver (`workers`), the process that runs Tune (`conductor`), `desk` and `lane`."""
