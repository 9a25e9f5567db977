"""Train PyTorch's `nn.LSTM` on ids in memory, with Adam, on the output at the last character.

Sequences are not packed: the padding is computed and then ignored.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers.common import MAX_LENGTH
from benchmarks.peers.training import (
    EMBEDDING_DIM,
    LEARNING_RATE,
    UNITS,
    Epoch,
    Rows,
    add_csv,
    read_csv,
    training_parser,
    write_metrics,
)

_EVALUATION_BATCH = 2048


class Split(NamedTuple):
    """Rows as tensors of int64: ids (n, MAX_LENGTH), lengths (n,), labels (n,)."""

    ids: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor


def encode(rows: Rows, alphabet: Sequence[str], names: Sequence[str]) -> Split:
    """Text to tensors; id 0 is padding, then the alphabet in order."""
    id_of = {character: place for place, character in enumerate(alphabet, start=1)}
    label_of = {name: place for place, name in enumerate(names)}
    cut = [
        torch.tensor([id_of[character] for character in sequence[:MAX_LENGTH]])
        for sequence in rows.sequences
    ]
    ids = torch.zeros(len(cut), MAX_LENGTH, dtype=torch.int64)
    for row, one in zip(ids, cut, strict=True):
        row[: len(one)] = one
    lengths = torch.tensor([len(one) for one in cut])
    return Split(ids, lengths, torch.tensor([label_of[label] for label in rows.labels]))


class OneHot(nn.Module):
    """Ids (batch, steps) to vectors (batch, steps, size) float32; padding is zero."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return functional.one_hot(ids, self._size + 1)[..., 1:].float()


class StackedLstm(nn.Module):
    """Ids (batch, steps) and lengths (batch,) to logits (batch, classes)."""

    def __init__(self, characters: int, classes: int, representation: str) -> None:
        super().__init__()
        embedded = representation == "embedding"
        width = EMBEDDING_DIM if embedded else characters
        # Two more: padding, and a character that is not in the alphabet.
        self.represent = nn.Embedding(characters + 2, width) if embedded else OneHot(characters)
        self.lstm = nn.LSTM(width, UNITS[0], num_layers=len(UNITS), batch_first=True)
        self.classify = nn.Linear(UNITS[0], classes)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.lstm(self.represent(ids))
        last = outputs[torch.arange(len(ids)), lengths - 1]
        return self.classify(last)


def train_epoch(
    model: StackedLstm, optimizer: torch.optim.Optimizer, rows: Split, batch_size: int
) -> None:
    """Take one step for each batch of the rows in a random order."""
    model.train()
    loss_of = nn.CrossEntropyLoss()
    for chosen in torch.randperm(len(rows.labels)).split(batch_size):
        optimizer.zero_grad()
        loss = loss_of(model(rows.ids[chosen], rows.lengths[chosen]), rows.labels[chosen])
        loss.backward()
        optimizer.step()


def measure_accuracy(model: StackedLstm, rows: Split) -> float:
    """The share of rows whose label has the largest logit."""
    model.eval()
    right = 0
    with torch.inference_mode():
        for batch in zip(*(column.split(_EVALUATION_BATCH) for column in rows), strict=True):
            ids, lengths, labels = batch
            right += int((model(ids, lengths).argmax(dim=1) == labels).sum())
    return right / len(rows.labels)


def run(
    given_train: Rows, given_validation: Rows, representation: str, epochs: int, batch_size: int
) -> list[Epoch]:
    """Train; give what each epoch measured."""
    alphabet = sorted(set("".join(given_train.sequences)))
    names = sorted(set(given_train.labels))
    train, validation = (encode(rows, alphabet, names) for rows in (given_train, given_validation))
    torch.manual_seed(0)
    model = StackedLstm(len(alphabet), len(names), representation)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    measured = []
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        train_epoch(model, optimizer, train, batch_size)
        seconds = time.perf_counter() - started
        measured.append(Epoch(seconds, measure_accuracy(model, validation)))
        print(f"epoch {number}/{epochs}: {measured[-1]}", flush=True)
    return measured


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says."""
    parser = training_parser(__doc__, batch_size=512)
    add_csv(parser)
    parser.add_argument("--representation", choices=("embedding", "one_hot"), default="embedding")
    given = parser.parse_args(argv)
    train, validation = read_csv(given.train), read_csv(given.validation)
    epochs = run(train, validation, given.representation, given.epochs, given.batch_size)
    write_metrics(given.output, len(train.labels), epochs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
