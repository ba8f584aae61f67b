"""The declared request of every DynamoDB action, by its name."""

from __future__ import annotations

from penstock.operations.dynamodb.item_shapes import ACTIONS as ITEM_ACTIONS
from penstock.operations.dynamodb.table_shapes import ACTIONS as TABLE_ACTIONS
from penstock.operations.kinds import Struct

ACTIONS: dict[str, Struct] = {**TABLE_ACTIONS, **ITEM_ACTIONS}
