"""Programs that cluster proteins, on the same sequences: seconds, and the pairs that they find.

The sequences are rows of `pipeline.sample`, of which hardly any are alike, and near-copies of them.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from benchmarks.figures import table
from benchmarks.measure import Cost, run_measured
from benchmarks.samples import make_sample
from benchmarks.similar.cost import FIGURES, PLAIN, run_pipeline
from benchmarks.similar.leak import GROUP, IDENTITY
from charseq.html.formats import format_share
from pipeline.components import connect
from pipeline.identity import MIN_RANGE_BITS, Identity
from pipeline.options import DEFAULT_MAX_LENGTH, Options
from pipeline.rows.hashing import hash_sequences
from pipeline.sample import ALPHABET
from pipeline.similar.pairs import KeyedSequences, pack_keys

# The cluster of each sequence, by their places; one that has none is alone.
Clusters = Mapping[int, int]
Pair = tuple[int, int]

_SEED = 0
_COMPARED_SEQUENCES = 2_000
_COMPARED_AT_ONCE = 500
_MIN_EDITED = 5  # With 0.8 and so many characters, one edit is allowed.


@dataclass(frozen=True)
class Peer:
    """A program that clusters the records of a FASTA file.

    name: for the table. command: its words, with {0} for a directory that has only `in.fasta`.
    read: what it wrote there.
    """

    name: str
    command: str
    read: Callable[[Path], Clusters]


def read_cd_hit(directory: Path) -> Clusters:
    """Read the clusters that cd-hit numbers, and the records below each."""
    clusters: dict[int, int] = {}
    number = -1
    for line in (directory / "out.clstr").read_text().splitlines():
        if line.startswith(">"):
            number += 1
        else:
            clusters[int(re.findall(r">(\d+)\.\.\.", line)[0])] = number
    return clusters


def read_mmseqs(directory: Path) -> Clusters:
    """Read lines of the representative and a member of its cluster."""
    lines = (directory / "out_cluster.tsv").read_text().splitlines()
    pairs = (line.split("\t") for line in lines)
    return {int(member): int(representative) for representative, member in pairs}


_CD_HIT = f"cd-hit -i {{0}}/in.fasta -o {{0}}/out -c {IDENTITY} -M 0 -T 0 -d 0"
_MMSEQS = f"mmseqs easy-linclust {{0}}/in.fasta {{0}}/out {{0}}/tmp --min-seq-id {IDENTITY} -v 1"
# Both leave out short sequences and want significant alignments, unless told otherwise.
_CD_HIT_SHORT = f"{_CD_HIT} -n 3 -l 4 -g 1 -s {IDENTITY}"
_MMSEQS_SHORT = (
    f"{_MMSEQS} -k 5 --alph-size 21 --kmer-per-seq 64 --mask 0 --comp-bias-corr 0 -e inf -c 0.5 "
    "--alignment-mode 3 --cluster-mode 1"
)
PEERS = (
    Peer("cd-hit", _CD_HIT, read_cd_hit),
    Peer("cd-hit, for short ones", _CD_HIT_SHORT, read_cd_hit),
    Peer("mmseqs", _MMSEQS, read_mmseqs),
    Peer("mmseqs, for short ones", _MMSEQS_SHORT, read_mmseqs),
)


def plant_copies(sequences: Sequence[str], seed: int) -> list[str]:
    """Return distinct sequences: each second one is replaced by a near-copy of that before it."""
    source = random.Random(seed)
    planted = list(sequences)
    for place in range(1, len(planted), 2):
        planted[place] = _edit(planted[place - 1], source)
    return list(dict.fromkeys(planted))


def _edit(text: str, source: random.Random) -> str:
    """Return the text after up to as many edits as IDENTITY allows, and cut as datasets are."""
    most = len(text) // _MIN_EDITED
    for _ in range(source.randint(1, most)):
        place = source.randrange(len(text))
        letters = source.choice(
            ["", source.choice(ALPHABET), text[place] + source.choice(ALPHABET)]
        )
        text = text[:place] + letters + text[place + 1 :]
    return text[:DEFAULT_MAX_LENGTH]


def find_near_pairs(sequences: Sequence[str], compared: int) -> list[Pair]:
    """Return the pairs of the wanted identity with one of the first `compared` sequences.

    All sequences are compared with these, exactly; a pair is returned once.
    """
    pairs: list[Pair] = []
    for start in range(0, min(compared, len(sequences)), _COMPARED_AT_ONCE):
        end = min(start + _COMPARED_AT_ONCE, compared)
        found = cdist(
            sequences[start:end],
            sequences,
            scorer=Levenshtein.normalized_similarity,
            dtype=np.float32,
            workers=-1,
        )
        first, second = np.nonzero(found >= np.float32(IDENTITY))
        pairs += zip((first + start).tolist(), second.tolist(), strict=True)
    return sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})


def count_together(pairs: Sequence[Pair], clusters: Clusters) -> int:
    """Count the pairs that are in one cluster."""
    return sum(
        one in clusters and other in clusters and clusters[one] == clusters[other]
        for one, other in pairs
    )


def cluster(sequences: Sequence[str]) -> Clusters:
    """Return the clusters of --similar."""
    identity = Identity(Fraction(str(IDENTITY)), DEFAULT_MAX_LENGTH)
    column = pa.array(sequences)
    hashes = hash_sequences(column, Options.seed)
    ranges = pack_keys(hashes, column, identity, MIN_RANGE_BITS)
    found = [
        pairs
        for _, packed in ranges
        for pairs in KeyedSequences([packed], identity).similar_pairs()
    ]
    nodes, root = connect(*(np.concatenate(part) for part in zip(*found, strict=True)))
    places = {number: place for place, number in enumerate(hashes.tolist())}
    linked = zip(nodes.tolist(), root.tolist(), strict=True)
    return {places[node]: places[least] for node, least in linked}


def peers_table(rows: int, repeats: int) -> str:
    """Run all programs that are installed, in turn; a line for each, with medians."""
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        sequences = _read_sequences(make_sample(Path(name), rows, "mixed").path)
    pairs = find_near_pairs(sequences, _COMPARED_SEQUENCES)
    costs: dict[str, list[Cost]] = {}
    clusters: dict[str, Clusters] = {GROUP: cluster(sequences)}
    for repeat in range(1, repeats + 1):
        for name, cost, found in _run_all(sequences):
            costs.setdefault(name, []).append(cost)
            if found is not None:
                clusters[name] = found
            print(f"{repeat}/{repeats} {rows:,} rows, {name}: {cost.wall:.1f} s", file=sys.stderr)
    header = [
        f"{len(sequences):,} sequences",
        *FIGURES,
        "largest cluster",
        f"of {len(pairs):,} pairs",
    ]
    lines = [
        [name, *_medians(of_one), *_describe(pairs, clusters.get(name))]
        for name, of_one in costs.items()
    ]
    return table(header, lines)


def _medians(costs: Sequence[Cost]) -> list[str]:
    return [
        format(statistics.median(map(figure, costs)), form) for figure, form in FIGURES.values()
    ]


def _describe(pairs: Sequence[Pair], clusters: Clusters | None) -> tuple[str, str]:
    """Return the size of the largest cluster, and the share of the pairs that are in one."""
    if clusters is None:
        return "–", "–"
    ((_, largest),) = Counter(clusters.values()).most_common(1)
    return f"{largest:,}", format_share(count_together(pairs, clusters), len(pairs))


def _read_sequences(path: Path) -> list[str]:
    rows = path.read_text().splitlines()[1:]
    cut = [row.partition(",")[0][:DEFAULT_MAX_LENGTH] for row in rows]
    return plant_copies(cut, _SEED)


def _run_all(sequences: Sequence[str]) -> Iterator[tuple[str, Cost, Clusters | None]]:
    """Yield name, cost and clusters of each program; clusters of the preparation are known."""
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        rows = Path(name, "rows.csv")
        lines = (f"{sequence},{place % 2}\n" for place, sequence in enumerate(sequences))
        rows.write_text("sequence,label\n" + "".join(lines))
        for way in (PLAIN, GROUP):
            yield way, run_pipeline(rows, way), None
    for peer in PEERS:
        if shutil.which(peer.command.split()[0]):
            yield peer.name, *_run_peer(peer, sequences)
        else:
            print(f"{peer.name}: not installed", file=sys.stderr)


def _run_peer(peer: Peer, sequences: Sequence[str]) -> tuple[Cost, Clusters]:
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        records = (f">{place}\n{sequence}\n" for place, sequence in enumerate(sequences))
        Path(name, "in.fasta").write_text("".join(records))
        os.sync()
        cost = run_measured(peer.command.format(name).split(), os.environ)
        return cost, peer.read(Path(name))
