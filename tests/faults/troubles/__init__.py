"""What goes wrong for a while, or in an order that nobody thought of; afterwards everything has to be well.

Each was seen to lose something, or to tell somebody a falsehood. They are written against what members are promised,
so they say nothing about how it is kept.
"""

from tests.faults.troubles.playing import Trouble, play
from tests.faults.troubles.with_discord import DISCORD
from tests.faults.troubles.with_files import FILES
from tests.faults.troubles.with_members import MEMBERS
from tests.faults.troubles.with_vidgo import VIDGO

__all__ = ["TROUBLES", "Trouble", "play"]

TROUBLES = (*VIDGO, *FILES, *DISCORD, *MEMBERS)
