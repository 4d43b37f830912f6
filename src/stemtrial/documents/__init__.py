"""Documents a person writes: reading YAML and JSON, checking them, and saying what is wrong where."""

from stemtrial.documents.document import Document
from stemtrial.documents.explain import validate
from stemtrial.documents.record import Fault, FrozenDict, Record, faulty, nearest, reject

__all__ = ["Document", "Fault", "FrozenDict", "Record", "faulty", "nearest", "reject", "validate"]
