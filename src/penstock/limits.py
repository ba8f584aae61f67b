"""Every bound, in one place, each with its source.

AWS pages: [Q] developerguide/ServiceQuotas, [C] developerguide/Constraints, [E] developerguide/Expressions,
[A] APIReference of the action. A bound of our own says so and why.
"""

from __future__ import annotations

ITEM_BYTES_MAX = 400 * 1024  # [C] Item size.
PARTITION_KEY_BYTES_MAX = 2048  # [C]
SORT_KEY_BYTES_MAX = 1024  # [C]
NESTING_DEPTH_MAX = 32  # [C] Attributes nested up to 32 levels deep.
NUMBER_DIGITS_MAX = 38  # [C] Number precision.
ATTRIBUTE_NAME_BYTES_MAX = 65535  # [C] Attribute names: up to 64 KB; 65,535 is the longest that AWS takes.
EXPRESSION_BYTES_MAX = 4096  # [E] Longest expression string.
EXPRESSION_OPERATORS_MAX = 300  # [E] Operators and functions in one expression.
EXPRESSION_OPERANDS_IN_MAX = 100  # [E] Operands of IN.
PLACEHOLDER_BYTES_MAX = 255  # [E] Length of one #name or :value.
PAGE_BYTES_MAX = 1024 * 1024  # [A] Query and Scan read up to 1 MB before the filter.
BATCH_GET_KEYS_MAX = 100  # [A] BatchGetItem.
BATCH_GET_BYTES_MAX = 16 * 1024 * 1024  # [A] BatchGetItem.
BATCH_WRITE_ITEMS_MAX = 25  # [A] BatchWriteItem.
TRANSACTION_ITEMS_MAX = 100  # [A] TransactWriteItems.
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024  # [A] TransactWriteItems.
TRANSACTION_TOKEN_S = 600  # [A] ClientRequestToken is good for ten minutes.
SCAN_SEGMENTS_MAX = 1_000_000  # [A] Scan.
LOCAL_INDEXES_MAX = 5  # [Q]
GLOBAL_INDEXES_MAX = 20  # [Q]
PROJECTED_ATTRIBUTES_MAX = 100  # [Q] Sum over all indexes of INCLUDE.
TABLES_MAX = 2500  # [Q] Per account and Region.
TAGS_MAX = 50  # [Q]
REQUEST_BYTES_MAX = 16 * 1024 * 1024  # [Q] Larger HTTP bodies are refused unread.
JSON_DEPTH_MAX = 254  # Ours: what orjson writes. Far above 32 levels of values, far below any parser's stack.
# Ours. The smallest value that a client has reason to send is `{"S":""},`: 16 MB hold 1.9 million of those. Empty
# objects, three times as many, would keep the process busy three times as long with what no action takes.
JSON_CONTAINERS_MAX = 2_000_000
STREAM_RETENTION_S = 24 * 3600  # developerguide/Streams: records are kept for 24 hours.
STREAM_RETENTION_S_MAX = 365 * 24 * 3600  # Ours, as Kinesis' longest.
STREAM_RECORDS_MAX = 1000  # [A] GetRecords: at most 1,000 records or 1 MB.
WAIT_MS_MAX = 30_000  # Ours: an empty GetRecords held open; HTTP clients give up after a minute.
ITERATOR_S = 15 * 60  # [A] GetShardIterator: an iterator expires after 15 minutes.
PARTIQL_STATEMENT_BYTES_MAX = 8192  # [A] ExecuteStatement.
EXPIRY_PAST_S = 157_788_000  # developerguide/TTL: a time more than five years in the past is left alone.
EXPIRED_PER_S_MAX = 2000  # Ours: what time to live deletes in a second, so that requests keep their share.
