"""The digest of a namespace, from docs/reference/digests.md."""

import hashlib
import json
from decimal import Decimal


def namespace_digest(records):
    """The digest of records as they are sent: dicts with id, data and so on, each id once, in any order."""
    total = 0
    for record in records:
        content = {"data": {}}
        for member in ("data", "source_system", "file", "created_at", "updated_at"):
            if member in record:
                content[member] = record[member]
        text = canonical([record["id"], content])
        total += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    return f"{total % 2**256:064x}"


def canonical(value):
    """The RFC 8785 text of what json.loads returned."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return canonical_number(float(value))
    return json.dumps(value, ensure_ascii=False)


def canonical_number(number):
    """A double as ECMAScript writes it."""
    if number == 0:
        return "0"
    _, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    digits, sign = "".join(map(str, digits)), "-" if number < 0 else ""
    point = len(digits) + exponent  # how many digits stand before the decimal point
    if not -6 < point <= 21:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole
