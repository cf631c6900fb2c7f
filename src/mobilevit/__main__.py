"""`python -m mobilevit`, which is also what torchrun starts."""

import sys

from mobilevit.cli import main

sys.exit(main())
