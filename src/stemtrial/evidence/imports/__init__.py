"""Import of a user's own rows and of registry records, beside the shipped evidence and never into it."""

from stemtrial.evidence.imports.registry import import_record as import_record
from stemtrial.evidence.imports.table import import_table as import_table
