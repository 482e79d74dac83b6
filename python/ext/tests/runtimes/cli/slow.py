"""A module that takes its time to be imported."""

import logging
import time

logging.getLogger("slow").warning("importing")
time.sleep(600)
