"""What can be asked, declared once: the options of every command, and of the function of its name."""

from nas.options.bench import Bench
from nas.options.compare import Compare
from nas.options.doctor import Doctor
from nas.options.option import Options
from nas.options.replay import Replay
from nas.options.search import Search
from nas.options.spaces import Spaces
from nas.options.train import Train
from nas.options.zoo import Zoo

OPTIONS: dict[str, type[Options]] = {
    "search": Search,
    "spaces": Spaces,
    "train": Train,
    "compare": Compare,
    "zoo": Zoo,
    "bench make": Bench,
    "replay": Replay,
    "doctor": Doctor,
}
"""By the name of the command."""
