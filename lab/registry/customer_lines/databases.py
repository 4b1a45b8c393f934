"""The tables of FreePBX and Wazo that `lines.query` reads, as their projects define them.

Types are exact only as far as necessary. The sources are FreePBX's module `core` (module.xml) and Wazo's
xivo-manage-db.
"""

from typing import Final

FREEPBX: Final = """
CREATE TABLE users (extension VARCHAR(20) DEFAULT '' NOT NULL, password VARCHAR(20), name VARCHAR(50),
  voicemail VARCHAR(50), ringtimer INTEGER, noanswer VARCHAR(100), recording VARCHAR(50), outboundcid VARCHAR(50),
  sipname VARCHAR(50), noanswer_cid VARCHAR(20) DEFAULT '' NOT NULL, busy_cid VARCHAR(20) DEFAULT '' NOT NULL,
  chanunavail_cid VARCHAR(20) DEFAULT '' NOT NULL, noanswer_dest VARCHAR(255) DEFAULT '' NOT NULL,
  busy_dest VARCHAR(255) DEFAULT '' NOT NULL, chanunavail_dest VARCHAR(255) DEFAULT '' NOT NULL,
  mohclass VARCHAR(80) DEFAULT 'default');
CREATE TABLE devices (id VARCHAR(20) DEFAULT '' NOT NULL, tech VARCHAR(10) DEFAULT '' NOT NULL,
  dial VARCHAR(255) DEFAULT '' NOT NULL, devicetype VARCHAR(5) DEFAULT '' NOT NULL, user VARCHAR(50),
  description VARCHAR(50), emergency_cid VARCHAR(100), hint_override VARCHAR(100));
CREATE TABLE incoming (cidnum VARCHAR(50), extension VARCHAR(50) NOT NULL, destination VARCHAR(50),
  privacyman INTEGER, alertinfo VARCHAR(255), ringing VARCHAR(20), fanswer VARCHAR(20),
  mohclass VARCHAR(80) DEFAULT 'default' NOT NULL, description VARCHAR(80), grppre VARCHAR(80), delay_answer INTEGER,
  pricid VARCHAR(20), pmmaxretries VARCHAR(2), pmminlength VARCHAR(2), reversal VARCHAR(10), rvolume VARCHAR(2),
  indication_zone VARCHAR(20) DEFAULT 'default');
CREATE TABLE sip (id VARCHAR(20) DEFAULT '-1' NOT NULL, keyword VARCHAR(30) DEFAULT '' NOT NULL,
  data VARCHAR(8100) NOT NULL, flags INTEGER DEFAULT 0 NOT NULL, PRIMARY KEY (id, keyword));
INSERT INTO users (extension, name, outboundcid) VALUES
  ('6001', 'Sales 1', '"Acme" <0312345678>'), ('6002', 'Sales 2', '+81312345678'), ('6003', 'Workshop', ''),
  ('6004', 'Boastful', '"Police" <0335810110>'), ('6005', 'Block', '0312345650');
INSERT INTO devices (id, tech, dial, devicetype, user) VALUES
  ('6001', 'pjsip', 'PJSIP/6001', 'fixed', '6001'), ('6002', 'pjsip', 'PJSIP/6002', 'fixed', '6002'),
  ('996002', 'pjsip', 'PJSIP/996002', 'fixed', '6002'), ('6003', 'pjsip', 'PJSIP/6003', 'fixed', '6003'),
  ('6004', 'pjsip', 'PJSIP/6004', 'fixed', '6004'), ('6005', 'sip', 'SIP/6005', 'fixed', '6005');
INSERT INTO incoming (cidnum, extension, destination) VALUES
  ('', '03-1234-5678', 'ext-queues,400,1'), ('', '0312345601', 'from-did-direct,6003,1'),
  ('', '_03123457XX', 'from-did-direct,6005,1'), ('', '', 'ivr-1,s,1'), ('', 's', 'ivr-1,s,1');
INSERT INTO sip (id, keyword, data) VALUES ('6001', 'accountcode', 'sales'), ('6003', 'accountcode', ''),
  ('6001', 'secret', 'x');
"""
FREEPBX_CALLS: Final = [
    # endpoint, account code, number, and True if the line may present the number
    ("6001", "", "0312345678", True),
    ("6001", "", "0312345601", False),
    ("6002", "", "0312345678", True),
    ("996002", "", "0312345678", True),
    ("", "sales", "0312345678", True),
    ("", "sales", "0312345601", False),
    ("6003", "", "0312345601", True),
    ("6003", "", "0312345678", False),
    ("6004", "", "0335810110", False),  # only in the field "Outbound CID"
    ("6005", "", "0312345700", True),
    ("6005", "", "0312345799", True),
    ("6005", "", "0312345650", False),
    ("trunk", "", "0312345678", False),
]

WAZO: Final = """
CREATE TABLE endpoint_sip (uuid UUID PRIMARY KEY, label TEXT, name TEXT NOT NULL, asterisk_id TEXT,
  tenant_uuid VARCHAR(36) NOT NULL, template BOOLEAN DEFAULT false);
CREATE TABLE linefeatures (id SERIAL PRIMARY KEY, name VARCHAR(128), number VARCHAR(40), context VARCHAR(79) NOT NULL,
  endpoint_sip_uuid UUID REFERENCES endpoint_sip (uuid));
CREATE TABLE incall (id SERIAL PRIMARY KEY, tenant_uuid VARCHAR(36) NOT NULL, commented INTEGER DEFAULT 0 NOT NULL);
CREATE TYPE extenumbers_type AS ENUM ('extenfeatures', 'featuremap', 'generalfeatures', 'group', 'incall', 'outcall',
  'queue', 'user', 'voicemenu');
CREATE TABLE extensions (id SERIAL PRIMARY KEY, commented INTEGER DEFAULT 0 NOT NULL,
  context VARCHAR(79) DEFAULT '' NOT NULL, exten VARCHAR(40) DEFAULT '' NOT NULL, type extenumbers_type NOT NULL,
  typeval VARCHAR(255) DEFAULT '' NOT NULL);
INSERT INTO endpoint_sip (uuid, name, tenant_uuid, template) VALUES
  ('00000000-0000-4000-8000-000000000001', 'ab12cd34', 'f0000000-0000-4000-8000-000000000001', false),
  ('00000000-0000-4000-8000-000000000002', 'ef56ab78', 'f0000000-0000-4000-8000-000000000001', false),
  ('00000000-0000-4000-8000-000000000003', 'zz99', 'f0000000-0000-4000-8000-000000000002', false),
  ('00000000-0000-4000-8000-000000000004', 'carrier', 'f0000000-0000-4000-8000-000000000001', false),
  ('00000000-0000-4000-8000-000000000005', 'global', 'f0000000-0000-4000-8000-000000000001', true);
INSERT INTO linefeatures (name, context, endpoint_sip_uuid) VALUES
  ('ab12cd34', 'default', '00000000-0000-4000-8000-000000000001'),
  ('ef56ab78', 'default', '00000000-0000-4000-8000-000000000002'),
  ('zz99', 'other', '00000000-0000-4000-8000-000000000003');
INSERT INTO incall (id, tenant_uuid, commented) VALUES (1, 'f0000000-0000-4000-8000-000000000001', 0),
  (2, 'f0000000-0000-4000-8000-000000000002', 0), (3, 'f0000000-0000-4000-8000-000000000002', 1);
INSERT INTO extensions (exten, type, typeval) VALUES ('0312345678', 'incall', '1'), ('0612345678', 'incall', '2'),
  ('0612345679', 'incall', '3'), ('1001', 'user', '1'), ('1999', 'incall', '1');
"""
WAZO_CALLS: Final = [
    ("ab12cd34", "", "0312345678", True),
    ("ef56ab78", "", "0312345678", True),
    ("zz99", "", "0312345678", False),
    ("zz99", "", "0612345678", True),
    ("zz99", "", "0612345679", False),  # the incoming call of this number is disabled
    ("carrier", "", "0312345678", False),
]
