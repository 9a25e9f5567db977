"""python -m charseq: see `charseq.command`."""

from __future__ import annotations

import sys

from charseq.command import main

sys.exit(main())
