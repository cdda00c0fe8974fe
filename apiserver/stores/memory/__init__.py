"""State and bus inside one process: what the embedded engine uses."""

from apiserver.stores.memory.bus import MemoryBus
from apiserver.stores.memory.state import MemoryState

__all__ = ["MemoryBus", "MemoryState"]
