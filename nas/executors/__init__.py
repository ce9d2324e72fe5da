"""Who trains: this process, worker processes, a cluster."""
