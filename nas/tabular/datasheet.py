"""What a table of record is, for machines: Croissant metadata (JSON-LD), https://docs.mlcommons.org/croissant/."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from nas.tabular.table import PARTS, Table

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "isLiveDataset": "cr:isLiveDataset",
    "md5": "cr:md5",
    "recordSet": "cr:recordSet",
    "repeated": "cr:repeated",
    "source": "cr:source",
}

COLUMNS = {
    "id": ("sc:Text", "the network's id: the same network has it wherever it is made"),
    "mixer": (
        "sc:Text",
        "the mixer of all its blocks: factors of each axis, outer to inner: m mixes, s shares weights, g has its own",
    ),
    "lr": ("sc:Float", "peak learning rate"),
    "seed": ("sc:Integer", "seed of first weights, order and augmentation"),
    "params": ("sc:Integer", "parameters"),
    "macs": ("sc:Integer", "multiply-accumulates an example"),
    "latency": (
        "sc:Float",
        "milliseconds of the network's forward pass over a batch, on the machine that made the table",
    ),
    "seconds": ("sc:Float", "processor seconds of the training on one thread, without evaluations"),
    "reason": ("sc:Text", "why it failed; empty where it came to its end"),
    "training": ("sc:Float", "mean cross-entropy of every epoch, as trained (nats, with label smoothing)"),
}
CURVES = {
    "loss": ("sc:Float", "mean cross-entropy (nats) after every epoch"),
    "right": ("sc:Integer", "right examples after every epoch"),
    "bits": (
        "sc:Text",
        "which examples are right at the end, a bit each, the first one highest in the first byte (numpy.packbits)",
    ),
}
WORDS = {
    "train": "what it was trained on",
    "validation": "what chooses",
    "judge": "what judges and chose nothing",
    "test": "test data",
}


def croissant(table: Table, path: Path) -> dict[str, Any]:
    """The metadata of a table in a file: its columns, its digest, how it was made and what it must not be used for."""
    data = table.facts["data"]
    columns = COLUMNS | {
        f"{name}_{part}": (kind, f"{told}, of {WORDS[part]} ({table.sizes[part]} examples)")
        for name, (kind, told) in CURVES.items()
        for part in PARTS
    }
    name = str(table.facts["table"]["name"])
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"einmix-bench-{name}",
        "description": _words(table),
        "license": "https://spdx.org/licenses/MIT",
        "url": path.name,
        "version": "1.0.0",
        "isLiveDataset": False,
        "creator": {"@type": "sc:Organization", "name": "EinMix NAS"},
        "measurementTechnique": f"nas bench make --table {name}; {_how(table)}",
        "isBasedOn": f"{data['name']}, fingerprint {data['fingerprint']}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path.name,
                "name": path.name,
                "contentUrl": path.name,
                "contentSize": f"{path.stat().st_size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": sha256(path.read_bytes()).hexdigest(),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "trainings",
                "name": "trainings",
                "description": "a row a training",
                "field": [_field(column, *columns[column], path.name) for column in table.rows.column_names],
            }
        ],
    }


def _words(table: Table) -> str:
    """What it holds, and what does not follow from it."""
    declared, cells, rates = table.declared, table.cells, ", ".join(f"{lr:g}" for lr in table.declared.rates)
    failed = sum(bool(cell.reason) for cell in cells.values())
    return (
        f"Every mixing pattern of a small space, trained on {declared.data}: {len(table.networks)} networks (all "
        "factorisations of the axes of positions in shared, grouped and mixed factors, by all numbers of groups of "
        f"{declared.width} channels, which are not mixed; {declared.depth} blocks alike, patch {declared.patch}), at "
        f"learning rates of {rates} over {len(declared.seeds)} seeds, {declared.epochs} epochs: "
        f"{len(cells)} trainings, of which {failed} failed. Data and networks are small: ranks among 10 small "
        "classes are no ranks on ImageNet."
    )


def _how(table: Table) -> str:
    """The recipe, and what trained by it."""
    recipe, latency = table.facts["recipe"], table.facts["latency"]
    made = ", ".join(f"{name} {value}" for name, value in table.facts["made"].items())
    return (
        f"AdamW with weight decay {recipe['weight_decay']:g}, the rate by `lr`: linear warm-up over "
        f"{recipe['warmup']:.0%} of the steps, cosine decay to zero; batches of {recipe['batch']}, label smoothing "
        f"{recipe['label_smoothing']:g}, augmentation: {recipe['augment']}; made on {made}; latencies: batches of "
        f"{latency['batch']}, the networks in turns"
    )


def _field(column: str, kind: str, told: str, file: str) -> dict[str, Any]:
    curve = column == "training" or column.startswith(("loss_", "right_"))
    return {
        "@type": "cr:Field",
        "@id": f"trainings/{column}",
        "name": column,
        "description": told,
        "dataType": kind,
        **({"repeated": True} if curve else {}),
        "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
    }
