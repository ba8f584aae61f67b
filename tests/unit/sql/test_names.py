"""The clause of time travel is found where it is one, and nowhere else."""

from __future__ import annotations

import pytest

from penstock.errors import UsageError
from penstock.sql.names import rewrite


# Why: three spellings, aliases and literals; the view stands where the table stood.
@pytest.mark.parametrize(
    ("sql", "kind", "value", "rewritten"),
    [
        (
            "SELECT * FROM current.t FOR TIMESTAMP AS OF '2026-01-01'",
            "timestamp",
            "2026-01-01",
            'SELECT * FROM "current"."t as of 0" AS "t"',
        ),
        (
            "FROM current.t FOR VERSION AS OF 42 x WHERE x.a = 1",
            "version",
            "42",
            'FROM "current"."t as of 0" x WHERE x.a = 1',
        ),
        (
            'FROM "current"."t" FOR SEQUENCE AS OF \'1\' AS y JOIN z ON true',
            "sequence",
            "1",
            'FROM "current"."t as of 0" AS y JOIN z ON true',
        ),
        (
            "FROM current.t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01' WHERE a = 1",
            "timestamp",
            "2026-01-01",
            'FROM "current"."t as of 0" AS "t" WHERE a = 1',
        ),
    ],
)
def test_a_table_at_a_moment_becomes_a_view(sql: str, kind: str, value: str, rewritten: str) -> None:
    found = rewrite(sql)
    [travel] = found.travels
    assert (travel.namespace, travel.name, travel.kind, travel.value) == ("current", "t", kind, value)
    assert found.sql == rewritten


# Why: a text or a comment that looks like the clause is the writer's own.
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'current.t FOR VERSION AS OF 1'",
        "SELECT 1 -- current.t FOR VERSION AS OF 1",
        "SELECT /* current.t FOR VERSION AS OF 1 */ 1",
        "SELECT $$current.t FOR VERSION AS OF 1$$",
        "SELECT substring(a.b FOR 3) FROM current.t",
        "",
    ],
)
def test_text_and_comments_stay_as_they_are(sql: str) -> None:
    assert rewrite(sql).sql == sql
    assert rewrite(sql).travels == []


# Why: an expression there would have to be evaluated before the table is known.
def test_only_literals_name_a_moment() -> None:
    with pytest.raises(UsageError, match="takes a literal"):
        rewrite("FROM current.t FOR TIMESTAMP AS OF now()")
