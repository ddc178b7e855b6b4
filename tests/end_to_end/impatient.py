"""The program with little patience for files: minutes are seconds. `python -m tests.end_to_end.impatient run`.

`IMPATIENT_DAY` in the environment is how many seconds VidGo keeps files, `IMPATIENT_PICTURE` how many a post waits
for its pictures.
"""

from __future__ import annotations

import os
import sys

from bot.__main__ import main
from bot.fetching import patience
from bot.media import archiver, files, sources
from bot.tasks import reading
from storage.archive import s3

patience.KEEPS_SECONDS = float(os.environ.get("IMPATIENT_DAY", "86400"))
patience.YOUNG_SECONDS = 1.5
patience.LASTS_SECONDS = 2.0
patience.LASTS_TIMES = 3
patience.TELL_SECONDS = 0.5
patience.LAST_WORD_SECONDS = 3.0
patience.UNDER_WAY_PAUSES = (0.3, 1.0)
patience.LONGEST_PAUSE_SECONDS = 1.0
sources.PICTURE_SECONDS = float(os.environ.get("IMPATIENT_PICTURE", sources.PICTURE_SECONDS))
files.KEEP_SECONDS = 2.0
reading.BELIEF_SECONDS = 1.0
archiver.PAUSES = (0.5, 1.0, 2.0, 2.0, 2.0)
s3.ANSWER_SECONDS = 3.0
s3.REST_SECONDS = 1.0

if __name__ == "__main__":
    sys.exit(main())
