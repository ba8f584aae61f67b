"""A statement's text as tokens: names, keywords, literals, operators, each with its place.

T1. Keywords are those of SQL-92 and of PartiQL, in any case; a name that is one must stand in double quotes.
T2. A quote inside a quoted text is written twice.
T3. -- to the end of the line and /* … */ are white space.
T4. Text that is no token at all, a quote that never ends, or a number that Java's BigDecimal cannot hold (an
    exponent or a scale beyond 32 bits) is malformed with no detail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock.partiql.syntax import Place
from penstock.partiql.wording import malformed

NAME = "name"
KEYWORD = "keyword"  # Its text is in upper case.
STRING = "string"
NUMBER = "number"
END = "end"

_scan = re.compile(
    r"""
    (?P<space>\s+|--[^\n\r]*|/\*(?s:.*?)\*/)
  | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
  | '(?P<string>(?:[^']|'')*)'
  | "(?P<quoted>(?:[^"]|"")*)"
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<symbol><<|>>|<>|!=|<=|>=|\|\||/(?!\*)|[=<>()\[\]{},.:;?*+\-%])
    """,
    re.VERBOSE,
).match

# Keywords that are functions where a parenthesis follows.
_FUNCTION_WORDS = """
    AVG BIT_LENGTH CHARACTER_LENGTH CHAR_LENGTH COALESCE COUNT EXTRACT LOWER MAX MIN NULLIF OCTET_LENGTH POSITION
    SIZE SUBSTRING SUM TRIM UPPER
"""
FUNCTION_KEYWORDS = frozenset(_FUNCTION_WORDS.split())

# As the reference implementation of PartiQL reserves them.
_WORDS = """
    ABSOLUTE ACTION ADD ALL ALLOCATE ALTER AND ANY ARE AS ASC ASSERTION AT AUTHORIZATION BAG BEGIN BETWEEN BIT
    BLOB BOOL BOOLEAN BOTH BY CASCADE CASCADED CASE CAST CATALOG CHAR CHARACTER CHECK CLOB CLOSE COLLATE COLLATION
    COLUMN COMMIT CONFLICT CONNECT CONNECTION CONSTRAINT CONSTRAINTS CONTINUE CONVERT CORRESPONDING CREATE CROSS
    CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR DATE DEALLOCATE DEC DECIMAL DECLARE
    DEFAULT DEFERRABLE DEFERRED DELETE DESC DESCRIBE DESCRIPTOR DIAGNOSTICS DISCONNECT DISTINCT DO DOMAIN DOUBLE
    DROP ELSE END ESCAPE EXCEPT EXCEPTION EXEC EXECUTE EXISTS EXTERNAL FALSE FETCH FIRST FLOAT FOR FOREIGN FOUND
    FROM FULL GET GLOBAL GO GOTO GRANT GROUP HAVING IDENTITY IMMEDIATE IN INDEX INDICATOR INITIALLY INNER INPUT
    INSENSITIVE INSERT INT INT2 INT4 INT8 INTEGER INTEGER2 INTEGER4 INTEGER8 INTERSECT INTERVAL INTO IS ISOLATION
    JOIN KEY LANGUAGE LAST LEADING LEFT LET LEVEL LIKE LIMIT LIST LOCAL MATCH MISSING MODIFIED MODULE NAMES
    NATIONAL NATURAL NCHAR NEW NEXT NO NOT NOTHING NULL NUMERIC OF OFFSET OLD ON ONLY OPEN OPTION OR ORDER OUTER
    OUTPUT OVERLAPS PAD PARTIAL PIVOT PRECISION PREPARE PRESERVE PRIMARY PRIOR PRIVILEGES PROCEDURE PUBLIC READ
    REAL REFERENCES RELATIVE REMOVE RESTRICT RETURNING REVOKE RIGHT ROLLBACK ROWS SCHEMA SCROLL SECTION SELECT
    SESSION SESSION_USER SET SEXP SMALLINT SOME SPACE SQL SQLCODE SQLERROR SQLSTATE STRING STRUCT SYMBOL
    SYSTEM_USER TABLE TEMPORARY THEN TIME TIMESTAMP TO TRAILING TRANSACTION TRANSLATE TRANSLATION TRUE TUPLE UNION
    UNIQUE UNKNOWN UNPIVOT UPDATE USAGE USER USING VALUE VALUES VARCHAR VARYING VIEW WHEN WHENEVER WHERE WITH WORK
    WRITE ZONE
"""
KEYWORDS = FUNCTION_KEYWORDS | frozenset(_WORDS.split())

_INT32_MAX = 2**31 - 1
_INT32_MIN = -(2**31)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # One of the names above, or the symbol itself.
    text: str
    place: Place


def tokenize(text: str) -> list[Token]:
    """Every token, and END last."""
    tokens: list[Token] = []
    position, line, line_start = 0, 1, 0
    while position < len(text):
        found = _scan(text, position)
        if found is None:
            raise malformed()
        if found.lastgroup != "space":
            place = Place(line, position - line_start + 1, found.end() - position)
            tokens.append(_token(found, place))
        breaks = text.count("\n", position, found.end())
        if breaks:
            line += breaks
            line_start = text.rindex("\n", position, found.end()) + 1
        position = found.end()
    tokens.append(Token(END, "", Place(line, position - line_start + 1, 0)))
    return tokens


def _token(found: re.Match[str], place: Place) -> Token:
    group = found.lastgroup
    assert group is not None
    word = found[group]
    if group == "word":
        upper = word.upper()
        return Token(KEYWORD, upper, place) if upper in KEYWORDS else Token(NAME, word, place)
    if group == "string":
        return Token(STRING, word.replace("''", "'"), place)
    if group == "quoted":
        return Token(NAME, word.replace('""', '"'), place)
    if group == "number":
        _check_scale(word)
        return Token(NUMBER, word, place)
    return Token("<>" if word == "!=" else word, word, place)


def _check_scale(number: str) -> None:
    """See T4. The scale is the number of digits after the point less the exponent."""
    mantissa, _, exponent_text = number.lower().partition("e")
    if not exponent_text:
        return
    digits = exponent_text.lstrip("+-").lstrip("0")
    if len(digits) > 10:
        raise malformed()
    exponent = int(digits or "0") * (-1 if exponent_text.startswith("-") else 1)
    scale = len(mantissa.partition(".")[2]) - exponent
    if not (_INT32_MIN <= exponent <= _INT32_MAX and _INT32_MIN <= scale <= _INT32_MAX):
        raise malformed()
