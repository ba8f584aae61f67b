"""What Penstock's own tests stand on, public, so that an application's tests can stand on it too.

`ManualClock` is time that a test moves; `FaultyStore` is a disk that a seed breaks; `seeds` makes what a seed
broke break again.
"""

from penstock.testing.clock import ManualClock
from penstock.testing.faulty_store import Disk, Faults, FaultyStore, PowerLoss
from penstock.testing.seeds import replayable, seeds

__all__ = ["Disk", "Faults", "FaultyStore", "ManualClock", "PowerLoss", "replayable", "seeds"]
