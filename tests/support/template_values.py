"""Values of the parameters of the Flex Template."""

from __future__ import annotations

# Of each parameter: its name, values that its option accepts and values that it refuses.
ACCEPTED_AND_REFUSED: list[tuple[str, list[str], list[str]]] = [
    ("input", ["gs://b/a.csv", "gs://b/x y/*.csv", "gs://b/a,b.csv,gs://c/**"], []),
    ("output", ["gs://b/out", "gs://b/a b/c"], []),
    ("format", ["auto", "csv", "text"], ["CSV", "xml", "csv,tsv", " csv"]),
    ("label_from", ["directory", "file"], ["path", "files"]),
    ("sequence_column", ["peptide", "a b", "ß,x"], ["label"]),
    ("label_column", ["class", "y=1"], ["sequence"]),
    ("label_pattern", [r"^(\w+)", "OS=(.+?) OX="], []),
    ("delimiter", [";", ",", "|", ":", "tab"], ["", ";;", "semicolon", "a"]),
    ("no_header", ["true", "false"], ["yes", "1"]),
    ("normalize", ["nfc", "none"], ["NFC", "nfd"]),
    ("lowercase", ["true", "false"], ["True", "yes"]),
    ("strip", ["true", "false"], ["False", "no"]),
    ("encoding", ["ids", "one_hot"], ["one-hot", "onehot"]),
    ("max_length", ["1", "31", "65536"], ["0", "-1", "1.5", "x", "3e1"]),
    ("alphabet", ["A", "ACDE", "ACGT-*", "äöß", "0"], ["ACA"]),
    ("alphabet_of", ["gs://b/data"], []),
    ("alphabet_size", ["1", "25", "auto"], ["0", "-3", "2.0", "Auto"]),
    ("too_long", ["truncate", "reject"], ["cut", "Reject"]),
    (
        "split",
        ["train=1", "train=0.8,validation=0.1,test=0.1", "test=1/4,train=3/4", "train=.5,test=.5"],
        ["train", "train=", "all=1", "train=1;", "train=0.8,", "train=-1,test=2", "train=1/0"],
    ),
    ("num_shards", ["1", "16"], ["0", "auto"]),
    ("compression", ["none", "gzip"], ["gz", "None"]),
    ("seed", ["0", "1", "9223372036854775807"], ["-1", "10000000000000000000", "1.0", "a"]),
    (
        "max_rejected_fraction",
        ["0", "1", "0.01", ".5", "1.0", "1e-05", "2.5e-3"],
        ["1.01", "-0.1", "2", "1%", "5e-0", "."],
    ),
    ("train_input", ["gs://b/train.csv", "gs://b/a,b.csv,gs://c/**"], []),
    ("validation_input", ["gs://b/dev.csv"], []),
    ("test_input", ["gs://b/test/*.csv,gs://b/more.csv"], []),
    ("split_column", ["fold", "a b"], []),
    (
        "split_values",
        ["dev=validation", "a=train,b=test", "x=y=test"],
        ["dev", "dev=", "=test", "dev=other", "dev=validation,", " =test"],
    ),
    ("leaks", ["drop-from-train", "report", "fail"], ["drop", "Fail"]),
    ("max_labels", ["2", "9", "10", "10000"], ["0", "1", "-2", "1e4"]),
    ("overwrite", ["true", "false"], ["True", "yes", "1"]),
]
