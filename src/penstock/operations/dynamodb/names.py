"""What tables and indexes may be called, as AWS checks it: the service model is laxer than the service."""

from __future__ import annotations

from penstock.operations.kinds import Text

NAME = "[a-zA-Z0-9_.-]+"

# The model allows any text of 1 to 1,024 characters, for ARNs; AWS holds a plain name to these.
TABLE = Text(min=1, max=255, pattern=NAME, or_arn=True)
# Three characters are asked for only where a table is made.
NEW_TABLE = Text(min=3, max=255, pattern=NAME, or_arn=True)
INDEX_NAME = Text(min=3, max=255, pattern=NAME)
