"""A table of record as a Parquet file: a row a training, read back so strictly that all else can rely on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from einmix import Architecture
from nas.errors import NasError
from nas.runs.job import BITS, CPU_SECONDS, CURVES, Key
from nas.runs.result import Result, latest, read_object, take
from nas.tabular.declared import Declared

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PARTS = "train", "validation", "test", "judge"
"""Parts of the data on which curves are."""

LONGEST = 1e9
"""Seconds that no training takes."""

DECLARED = "einmix-nas table"
"""The key of the file's metadata with what the table is, as a JSON object."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One training: by part the mean loss (`epochs`, float32) and the right examples after every epoch (`epochs`).

    `training` has the losses that it was trained by, `bits` by part which examples were right at its end. All are empty
    where it failed, for the `reason`. The `seconds` are the processor's, of one thread, without evaluations; `latency`
    is the network's, in milliseconds a batch (the table's facts say how it was measured).
    """

    key: Key
    mixer: str
    params: int
    macs: int
    latency: float
    seconds: float
    reason: str
    training: np.ndarray
    losses: Mapping[str, np.ndarray]
    right: Mapping[str, np.ndarray]
    bits: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Table:
    """A table of record: what it is, as its file says, and its rows.

    >>> table = Table.read("runs/tables/digits.parquet")  # doctest: +SKIP
    >>> table.cells[Key("2c1b079035", 0.015, 0, 20)].right["test"][-1]  # doctest: +SKIP
    """

    facts: Mapping[str, Any]
    rows: pa.Table

    @classmethod
    def read(cls, path: Path | str) -> Table:
        """Raises NasError for what is no table, or has another form."""
        pq = parquet()
        if not Path(path).is_file():
            raise NasError(f"there is no file {path}")
        try:
            rows = pq.read_table(path)
            facts = read_object((rows.schema.metadata or {}).get(DECLARED.encode(), b""))
            table = cls(facts, rows)
            if rows.schema.remove_metadata() != schema():
                raise ValueError("its columns are others")
            if empty := [name for name in rows.column_names if _nulls(rows[name])]:
                raise ValueError(f"column {empty[0]!r} has fields without a value")
            for name in ("table", "data", "recipe", "made"):
                take(facts, name, "an object")
            _check_data(facts["data"])
            for name in facts["made"]:
                take(facts["made"], name, "a text")
            table.declared, table.sizes  # noqa: B018 - what they read has to be there
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise NasError(f"{path} is no table of record: {error}") from None
        return table

    def write(self, path: Path) -> None:
        rows = self.rows.replace_schema_metadata({DECLARED: json.dumps(self.facts, sort_keys=True)})
        parquet().write_table(rows, path, compression="zstd", compression_level=19, use_dictionary=["id", "mixer"])

    @cached_property
    def declared(self) -> Declared:
        """What it was declared to hold."""
        return Declared.read(self.facts["table"])

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The examples of each part."""
        return {name: int(self.facts["data"][name]) for name in PARTS if name in self.facts["data"]}

    @cached_property
    def networks(self) -> dict[str, Architecture]:
        """All of its networks by id, made anew from what it was declared to be."""
        data = self.facts["data"]
        made = self.declared.networks(dict(data["shape"]), int(data["channels"]), int(data["classes"]))
        return {network.id: network for network in made}

    @cached_property
    def cells(self) -> dict[Key, Cell]:
        """By what was trained how."""
        import numpy as np

        found = {}
        for row in self.rows.to_pylist():
            key = Key(row["id"], row["lr"], row["seed"], self.declared.epochs)
            named = {part: np.array(row[f"loss_{part}"], np.float32) for part in PARTS}
            right = {part: np.array(row[f"right_{part}"], np.int64) for part in PARTS}
            bits = {part: _bits(row[f"bits_{part}"]) for part in PARTS}
            costs = {name: row[name] for name in ("params", "macs", "latency", "seconds", "reason")}
            training = np.array(row["training"], np.float32)
            found[key] = Cell(key, row["mixer"], **costs, training=training, losses=named, right=right, bits=bits)
        return found

    @cached_property
    def wanted(self) -> set[Key]:
        """The trainings of which it was declared to hold each."""
        return {Key(job.id, job.lr, job.seed, job.epochs) for job, _ in self.declared.jobs([*self.networks.values()])}

    @property
    def empty(self) -> set[Key]:
        """What of that it lacks."""
        return self.wanted - self.cells.keys()

    def faults(self) -> list[str]:
        """What is not as it should be; nothing of a table that is whole."""
        empty = self.empty
        return [f"{len(empty)} of {len(self.wanted)} cells are empty"] * bool(empty) + self.wrong

    @cached_property
    def wrong(self) -> list[str]:
        """What is not as it should be in what is there."""
        cells, told = self.cells, []
        if len(cells) != self.rows.num_rows:
            told.append(f"{self.rows.num_rows - len(cells)} rows are there twice")
        if unknown := cells.keys() - self.wanted:
            told.append(f"{len(unknown)} cells are none of the table's")
        for key, cell in cells.items():
            told += [f"{key.id} at {key.lr:g} with seed {key.seed}: {fault}" for fault in self._faults(cell)]
        return told

    def _faults(self, cell: Cell) -> list[str]:
        import numpy as np

        network, told = self.networks.get(cell.key.id), []
        if network is None:
            return []
        if (cell.params, cell.macs, cell.mixer) != (network.params, network.macs, mixer_of(network)):
            told.append("its mixer or costs are another network's")
        if not 0 < cell.latency < inf:
            told.append("it has no latency")
        if not 0 <= cell.seconds < LONGEST:
            told.append("its seconds are none")
        if cell.reason:
            return [*told, "it failed, but has curves"] if len(cell.training) else told
        epochs, at_end = self.declared.epochs, {part: cell.bits[part][: self.sizes[part]] for part in self.sizes}
        lengths = {
            len(cell.training),
            *(len(cell.losses[p]) for p in self.sizes),
            *(len(cell.right[p]) for p in self.sizes),
        }
        if lengths != {epochs}:
            return [*told, f"its curves are not of {epochs} epochs"]
        if not all(np.isfinite(each).all() for each in (cell.training, *cell.losses.values())):
            told.append("some of its losses are no numbers")
        for part, size in self.sizes.items():
            if not ((cell.right[part] >= 0) & (cell.right[part] <= size)).all():
                told.append(f"more than {size} of {part} are right")
            if len(cell.bits[part]) != -(-size // 8) * 8 or at_end[part].sum() != cell.right[part][-1]:
                told.append(f"its bits of {part} are not those of its accuracy")
        return told


def packed_table(facts: Mapping[str, Any], results: Sequence[Result], latencies: Mapping[str, float]) -> Table:
    """The table of a run's results, in the order of ids, rates and seeds; of what was tried again the last try.

    `latencies` are the networks', by id.
    """
    import base64

    import pyarrow as pa

    rows = []
    for result in sorted(latest(results), key=lambda result: result.key):
        curves, bits = result.extra.get(CURVES, {}), result.extra.get(BITS, {})
        done = result.state == "complete"
        row: dict[str, Any] = {
            "id": result.id,
            "mixer": mixer_of(Architecture.from_json(result.architecture)),
            "lr": result.lr,
            "seed": result.seed,
            "params": result.params,
            "macs": result.macs,
            "latency": latencies[result.id],
            "seconds": result.extra.get(CPU_SECONDS, result.seconds),
            "reason": "" if done else result.reason or "failed",
            "training": result.train_loss if done else (),
        }
        for part in PARTS:
            losses, right = zip(*curves[part], strict=True) if done and part in curves else ((), ())
            row |= {f"loss_{part}": losses, f"right_{part}": right}
            row[f"bits_{part}"] = base64.b64decode(bits[part]) if done and part in bits else b""
        rows.append(row)
    return Table(dict(facts), pa.Table.from_pylist(rows, schema()))


def schema() -> pa.Schema:
    """The columns of a table of record."""
    import pyarrow as pa

    plain = {"id": pa.string(), "mixer": pa.string(), "lr": pa.float64(), "seed": pa.int16()}
    costs = {
        "params": pa.int64(),
        "macs": pa.int64(),
        "latency": pa.float32(),
        "seconds": pa.float32(),
        "reason": pa.string(),
    }
    curves = {"training": pa.list_(pa.float32())}
    for part in PARTS:
        curves |= {f"loss_{part}": pa.list_(pa.float32()), f"right_{part}": pa.list_(pa.int32())}
        curves[f"bits_{part}"] = pa.binary()
    return pa.schema(list((plain | costs | curves).items()))


def _nulls(column: pa.ChunkedArray) -> int:
    """How many fields of a column, and of the lists in it, have no value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    inner = pc.list_flatten(column).null_count if pa.types.is_list(column.type) else 0
    return int(column.null_count + inner)


def _check_data(data: dict[str, Any]) -> None:
    """Raises ValueError where not all is there that says of what size and shape the data is."""
    shape = take(data, "shape", "an object")
    parts = ("channels", "classes", "train", "validation", "test", *(["judge"] if "judge" in data else []))
    for facts, names in ((shape, shape), (data, parts)):
        for name in names:
            if not take(facts, name, "a count"):
                raise ValueError(f"{name!r} is 0")
    take(data, "fingerprint", "a text")


def mixer_of(network: Architecture) -> str:
    """The one mixer of all its blocks."""
    (found,) = {str(mixer) for mixer in network.mixers}
    return found


def parquet() -> Any:
    """pyarrow's. Raises NasError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise NasError(
            "tables of record take pyarrow, which is not installed: pip install 'einmix-nas[bench]'"
        ) from None
    return pyarrow.parquet


def _bits(data: bytes) -> np.ndarray:
    import numpy as np

    return np.unpackbits(np.frombuffer(data, np.uint8)).astype(bool)
