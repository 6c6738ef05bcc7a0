"""``python -m tage.sidecar.worker``: started by the supervisor only."""

import sys

from tage.sidecar.worker.process import main

sys.exit(main(sys.argv[1:]))
