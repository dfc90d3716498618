"""`python -m fastos` is the command line."""

import sys

from fastos.cli import main

sys.exit(main())
