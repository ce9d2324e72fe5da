"""The one error of `search_spaces`."""


class SpaceError(ValueError):
    """A space that does not exist, does not fit the data, or holds nothing that meets a budget."""
