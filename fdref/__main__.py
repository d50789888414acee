"""`python -m fdref` is `fdref`."""

import sys

from fdref.commands import main

sys.exit(main())
