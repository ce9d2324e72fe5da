"""How we look: strategies, trainings, runs and the command line. From Python start with `nas.api.search.search`."""
