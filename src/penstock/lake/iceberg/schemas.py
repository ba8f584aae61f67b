"""The schemas of the lake's own tables, and kinds of columns as Iceberg's types."""

from __future__ import annotations

from collections.abc import Sequence

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from penstock.lake.evolution import EXTRA, KEY, SEQUENCE, TEXT, Column

__all__ = ["CURRENT_SCHEMA", "QUARANTINE_SCHEMA", "RAW_SCHEMA", "RAW_SPEC", "Schema", "columns_of", "grown"]

_TEXT, _LONG, _TIME = StringType(), LongType(), TimestamptzType()

RAW_SCHEMA = Schema(
    NestedField(
        1, "ordinal", _LONG, required=False, doc="Row number of the change log: 0, 1, 2 … without gaps."
    ),
    NestedField(
        2, "sequence", _TEXT, required=False, doc="The stream's sequence number; text order is its order."
    ),
    NestedField(3, "shard", _TEXT, required=False),
    NestedField(
        4, "operation", _TEXT, required=False, doc="INSERT, MODIFY, REMOVE, or SNAPSHOT for a scanned item."
    ),
    NestedField(5, "event_time", _TIME, required=False, doc="ApproximateCreationDateTime of the record."),
    NestedField(6, "commit_time", _TIME, required=False, doc="When the table committed the change."),
    NestedField(7, "key", _TEXT, required=False, doc="Key as DynamoDB JSON."),
    NestedField(8, "old_image", _TEXT, required=False, doc="Item before, as exact DynamoDB JSON."),
    NestedField(9, "new_image", _TEXT, required=False, doc="Item after, as exact DynamoDB JSON."),
    NestedField(10, "expired", BooleanType(), required=False, doc="Deleted by time to live."),
    NestedField(11, "refused", _TEXT, required=False, doc="Why the images are withheld."),
)
RAW_DAY_ID = 1000
RAW_SPEC = PartitionSpec(
    PartitionField(source_id=6, field_id=RAW_DAY_ID, transform=DayTransform(), name="commit_day"), spec_id=0
)

CURRENT_SCHEMA = Schema(
    NestedField(1, KEY, _TEXT, required=False, doc="Key as DynamoDB JSON."),
    NestedField(2, SEQUENCE, _TEXT, required=False, doc="Sequence number of the item's last change."),
    NestedField(3, EXTRA, _TEXT, required=False, doc="What has no column, as DynamoDB JSON."),
)

QUARANTINE_SCHEMA = Schema(
    NestedField(1, "ordinal", _LONG, required=False, doc="Row number in the change log."),
    NestedField(2, "sequence", _TEXT, required=False),
    NestedField(3, "operation", _TEXT, required=False),
    NestedField(4, "commit_time", _TIME, required=False),
    NestedField(5, "key", _TEXT, required=False),
    NestedField(6, "reason", _TEXT, required=False),
    NestedField(7, "new_image", _TEXT, required=False),
)

_TYPES: dict[str, IcebergType] = {
    "S": _TEXT, "N": DecimalType(38, 9), "B": BinaryType(), "BOOL": BooleanType(), "JSON": _TEXT, TEXT: _TEXT,
    "string": _TEXT, "long": _LONG, "double": DoubleType(), "boolean": BooleanType(), "binary": BinaryType(),
    "timestamp": _TIME, "date": DateType(), "json": _TEXT,
}  # fmt: skip
_ELEMENTS: dict[str, IcebergType] = {"SS": _TEXT, "NS": DecimalType(38, 9), "BS": BinaryType()}


def grown(schema: Schema, last_id: int, schema_id: int, added: Sequence[Column]) -> Schema:
    """The schema with more columns. Ids go on from the last that the table ever used."""
    fields = list(schema.fields)
    for column in added:
        last_id += 1
        own_id = last_id
        if column.kind in _ELEMENTS:
            last_id += 1
            type_: IcebergType = ListType(last_id, _ELEMENTS[column.kind], element_required=False)
        else:
            type_ = _type_of(column.kind)
        fields.append(NestedField(own_id, column.name, type_, required=False, doc=column.doc()))
    return Schema(*fields, schema_id=schema_id)


def _type_of(kind: str) -> IcebergType:
    if kind.startswith("decimal("):
        precision, scale = kind[8:-1].split(",")
        return DecimalType(int(precision), int(scale))
    return _TYPES[kind]


def columns_of(schema: Schema) -> list[Column]:
    """The columns that were made from attributes, as the fields' docs tell."""
    found = (Column.from_doc(field.name, field.doc) for field in schema.fields)
    return [column for column in found if column is not None]
