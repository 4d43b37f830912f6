"""Published evidence: typed tables, their validation, and selections from them."""

from stemtrial.evidence.reading import load as load
from stemtrial.evidence.selection import Selection as Selection
from stemtrial.evidence.tables import Evidence as Evidence
