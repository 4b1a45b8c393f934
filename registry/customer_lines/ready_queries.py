"""Ready-made queries for the databases of FreePBX and Wazo.

`freepbx`: the tables of FreePBX's module `core` (module.xml), in MariaDB. A device may present each number whose
inbound route leads to its extension. It may also present its extension's outbound caller id if an inbound route has
that number; a number in the "Outbound CID" field alone is not enough.

`wazo`: the tables of Wazo (xivo-manage-db), in PostgreSQL. A SIP line may present each number whose incoming calls go
to its tenant. The tenant is the customer.
"""

from typing import Final


def _plain(column: str) -> str:
    """SQL expression for the number in a column, in national form without separators."""
    return f"REPLACE(REPLACE(REPLACE({column}, '-', ''), ' ', ''), '+81', '0')"


_OUTBOUND: Final = "u.outboundcid"
"""`"Name" <0312345678>` or the number alone."""

FREEPBX: Final = f"""
SELECT d.id AS endpoint, a.data AS account, i.extension AS number
FROM devices d
JOIN users u ON u.extension = d.user
JOIN incoming i
  ON i.destination = CONCAT('from-did-direct,', u.extension, ',1')
  OR {_plain(_OUTBOUND)} = {_plain("i.extension")}
  OR {_plain(_OUTBOUND)} LIKE CONCAT('%<', {_plain("i.extension")}, '>%')
LEFT JOIN sip a ON a.id = d.id AND a.keyword = 'accountcode' AND a.data <> ''
WHERE LENGTH(i.extension) >= 10
"""  # noqa: S608  no value of a user is in it

WAZO: Final = """
SELECT e.name AS endpoint, e.tenant_uuid AS customer, NULL AS number
FROM endpoint_sip e
JOIN linefeatures l ON l.endpoint_sip_uuid = e.uuid
WHERE NOT e.template
UNION ALL
SELECT NULL, i.tenant_uuid, x.exten
FROM incall i
JOIN extensions x ON x.type = 'incall' AND x.typeval = CAST(i.id AS VARCHAR)
WHERE i.commented = 0 AND x.commented = 0 AND LENGTH(x.exten) >= 10
"""

READY: Final = {"freepbx": FREEPBX, "wazo": WAZO}
