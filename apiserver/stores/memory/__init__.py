"""State and bus inside one process, for the embedded engine."""

from apiserver.stores.memory.bus import MemoryBus
from apiserver.stores.memory.state import MemoryState

__all__ = ["MemoryBus", "MemoryState"]
