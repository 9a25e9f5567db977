"""`pipeline.predict` on a model without the signature from ids, as earlier versions exported it.

TensorFlow then runs the model's graph, on text; XLA does nothing.
"""

from __future__ import annotations

import sys

from pipeline.predict import classifier
from pipeline.predict.__main__ import main

if __name__ == "__main__":
    classifier.CLASSIFY_IDS = "of no model"
    sys.exit(main())
