"""A statement's text as a syntax tree, once per text: the grammar of PartiQL as far as DynamoDB has it.

    SELECT * | path, …  FROM table[.index]  [WHERE condition]  [ORDER BY key [ASC | DESC], …]
    INSERT INTO table VALUE {'name': value, …}
    UPDATE table  SET path = value, … | REMOVE path  …  [WHERE condition]  [RETURNING ALL | MODIFIED  OLD | NEW *]
    FROM table  [WHERE condition]  SET … | REMOVE …  [RETURNING …]        the same as UPDATE
    DELETE FROM table  [WHERE condition]  [RETURNING ALL OLD *]
    EXISTS(SELECT …)                                                      in transactions

A text that begins with none of these words is read as an expression, as AWS does: its errors depend on how far that
goes (`SLECT * FROM "t"` is a product whose right side is a FROM that manipulates nothing).
"""

from __future__ import annotations

from functools import lru_cache

from penstock.errors import ServiceError, validation
from penstock.limits import PARTIQL_STATEMENT_BYTES_MAX
from penstock.partiql import tokens, wording
from penstock.partiql.literals import settle, settle_item
from penstock.partiql.syntax import (
    Assignment,
    Delete,
    Exists,
    Expression,
    Insert,
    Order,
    Path,
    Select,
    Source,
    Statement,
    Tuple,
    Update,
)
from penstock.partiql.terms import Terms

_CACHED_STATEMENTS = 2048


@lru_cache(maxsize=_CACHED_STATEMENTS)
def parse(text: str) -> Statement:
    if len(text) > PARTIQL_STATEMENT_BYTES_MAX:
        raise validation(
            f"1 validation error detected: Value '{text}' at 'statement' failed to satisfy constraint: "
            f"Member must have length less than or equal to {PARTIQL_STATEMENT_BYTES_MAX}"
        )
    parser = _Parser(text)
    body = parser.statement()
    parser.accept(";")
    if not parser.at_end():
        raise wording.malformed(wording.LEFTOVER)
    return Statement(body, parser.parameters)


class _Parser(Terms):
    """Statements; expressions are in Terms."""

    def statement(self) -> Select | Exists | Insert | Update | Delete:
        if self.accept_keyword("SELECT"):
            return self._select()
        if self.accept_keyword("INSERT"):
            return self._insert()
        if self.accept_keyword("UPDATE"):
            return self._update()
        if self.accept_keyword("DELETE"):
            return self._delete()
        if self.accept_keyword("FROM"):
            return self._from_first()
        if self.at_keyword("EXISTS") and self.following.kind == "(":
            self.advance(2)
            if not self.accept_keyword("SELECT"):
                raise wording.malformed(wording.UNEXPECTED_TERM)
            select = self._select()
            self.expect(")")
            return Exists(select)
        raise self._refusal()

    def _refusal(self) -> ServiceError:
        """See the module's last paragraph."""
        expression = self.expression()
        self.accept(";")
        if not self.at_end():
            raise wording.malformed(wording.LEFTOVER)
        name = type(expression).__name__
        return wording.unsupported_operation("IsType" if name == "Is" else name)

    def _select(self) -> Select:
        columns = self._columns()
        if not self.accept_keyword("FROM"):
            raise wording.malformed("Missing FROM after SELECT list" if self.at_end() else wording.LEFTOVER)
        source = self._source(wording.UNEXPECTED_TERM, wording.UNEXPECTED_KEYWORD)
        self._refuse_alias()
        if self.accept(","):
            raise validation("FROM clause may only contain a single table name")
        where = self._where()
        order = self._order() if self.accept_keyword("ORDER") else ()
        return Select(source, columns, where, order)

    def _columns(self) -> tuple[Path, ...] | None:
        if self.accept("*"):
            if self.accept(","):
                raise wording.malformed(wording.STAR_NOT_ALONE)
            return None
        columns: list[Path] = []
        while True:
            column = self.expression()
            if not isinstance(column, Path):
                raise wording.unsupported_operation(type(column).__name__)
            if self.at_keyword("AS") or self.current.kind == tokens.NAME:
                raise validation("Aliasing is not supported")
            columns.append(column)
            if not self.accept(","):
                break
            if self.current.kind == "*":
                raise wording.malformed(wording.STAR_NOT_ALONE)
        names = [column.column for column in columns]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise validation(f"Duplicate identifiers in select clause: {name}")
        return tuple(columns)

    def _source(self, nothing: str, keyword: str) -> Source:
        """What follows FROM or UPDATE. AWS words its absence by the statement."""
        if self.current.kind == tokens.KEYWORD:
            raise wording.malformed(keyword)
        if self.current.kind != tokens.NAME:
            raise wording.malformed(nothing)
        path = self.path()
        names = [path.root, *path.steps]
        if any(isinstance(name, int) for name in names):
            raise validation("Unexpected path component")
        if len(names) > 2:
            raise validation("A path may contain at most 2 components in the FROM clause")
        if "" in names:
            raise validation("Path component cannot be an empty string")
        return Source(path.root, str(names[1]) if len(names) == 2 else None)

    def _refuse_alias(self) -> None:
        if self.current.kind == tokens.NAME or self.at_keyword("AS") or self.at_keyword("AT"):
            raise validation("Aliasing is not supported")

    def _where(self) -> Expression | None:
        return settle(self.expression()) if self.accept_keyword("WHERE") else None

    def _order(self) -> tuple[Order, ...]:
        self.expect_keyword("BY")
        terms: list[Order] = []
        while True:
            path = self.expression()
            if not isinstance(path, Path) or path.steps:
                raise wording.unsupported_operation(type(path).__name__)
            descending = self.accept_keyword("DESC")
            if not descending:
                self.accept_keyword("ASC")
            terms.append(Order(path.root, descending))
            if not self.accept(","):
                return tuple(terms)

    def _insert(self) -> Insert:
        self.expect_keyword("INTO")
        source = self._source(wording.NO_SIMPLE_PATH, wording.NO_SIMPLE_PATH)
        if source.index is not None:
            raise validation("FROM clause may only contain a single table name")
        if not self.accept_keyword("VALUE"):
            # The grammar has INSERT INTO t <<…>>, of many items: what comes here is read as one, and refused.
            self.expression()
            if not self.at_end():
                raise wording.malformed(wording.LEFTOVER)
            raise wording.unsupported_operation("Insert")
        item = self.expression()
        if self.at_keyword("RETURNING"):
            raise validation("RETURNING is not supported in INSERT")
        if not isinstance(item, Tuple):
            raise validation(f"Unsupported data type: {type(item).__name__} under key root")
        return Insert(source, settle_item(item))

    def _update(self) -> Update:
        source = self._source(wording.NO_SIMPLE_PATH, wording.NO_SIMPLE_PATH)
        self._refuse_alias()
        assignments = self._assignments()
        where = self._where()
        return Update(source, assignments, where, self._returning())

    def _from_first(self) -> Update:
        source = self._source(wording.UNEXPECTED_TERM, wording.UNEXPECTED_KEYWORD)
        self._refuse_alias()
        where = self._where()
        assignments = self._assignments()
        return Update(source, assignments, where, self._returning())

    def _assignments(self) -> tuple[Assignment, ...]:
        assignments: list[Assignment] = []
        while True:
            if self.accept_keyword("SET"):
                while True:
                    path = self.simple_path()
                    self.expect("=")
                    assignments.append(Assignment(path, settle(self.expression())))
                    if not self.accept(","):
                        break
            elif self.accept_keyword("REMOVE"):
                assignments.append(Assignment(self.simple_path(), None))
            elif assignments:
                return tuple(assignments)
            else:
                raise wording.malformed(wording.NOT_DATA_MANIPULATION)

    def _delete(self) -> Delete:
        self.expect_keyword("FROM")
        source = self._source(wording.NO_SIMPLE_PATH, wording.NO_SIMPLE_PATH)
        self._refuse_alias()
        where = self._where()
        returning = self._returning()
        if returning is not None and returning != "ALL OLD":
            raise validation(
                f"Invalid returning clause: RETURNING {returning} *. "
                "Only RETURNING ALL OLD * is allowed in DELETE statements."
            )
        return Delete(source, where, returning)

    def _returning(self) -> str | None:
        if not self.accept_keyword("RETURNING"):
            return None
        scope = self._one_of("ALL", "MODIFIED")
        age = self._one_of("OLD", "NEW")
        self.expect("*")
        return f"{scope} {age}"

    def _one_of(self, first: str, second: str) -> str:
        for word in (first, second):
            if self.accept_keyword(word):
                return word
        raise wording.malformed(f"Expected {first} or {second}")
