BEGIN TRANSACTION;
CREATE TABLE hashes (place INTEGER NOT NULL PRIMARY KEY, hash BLOB NOT NULL);
INSERT INTO "hashes" VALUES(0,X'8CF34C68BDCC6B391A15584C3FF2B66653B056412FE17354F9CB7BBEAA8367C4');
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('schema_version','1');
INSERT INTO "meta" VALUES('checkpoint','pbx-1/idtone
1
jPNMaL3MazkaFVhMP/K2ZlOwVkEv4XNU+ct7vqqDZ8Q=

— pbx-1/idtone qYm4q9eXlS/zoayA3P6z34scZjFeH6Te+YpTQcxPIZDpic+UTMtMzZnqKOPkeFWKABPcUVp004bMNap4mwxu72/Xvgk=
');
CREATE TABLE sought (token BIGINT NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (token, step)) WITHOUT ROWID;
INSERT INTO "sought" VALUES(-8985473589081344408,6);
INSERT INTO "sought" VALUES(-7280434103707555993,6);
INSERT INTO "sought" VALUES(8473071233151567934,6);
CREATE TABLE steps (id INTEGER NOT NULL PRIMARY KEY, node TEXT NOT NULL, call_id TEXT NOT NULL, kind TEXT NOT NULL, at BIGINT NOT NULL, details TEXT NOT NULL, leaf INTEGER);
INSERT INTO "steps" VALUES(1,'pbx-1','1795.9-1','decided',1793491200123456,'{"called_kind":"050","called_token":"834d2f60b826f6683c8344f1350a6a29","caller_kind":"mobile","caller_token":"75966564f094883e6c1ac746c6544699","day":"2026-11-01","direction":"incoming","forwarding_kind":"fixed","forwarding_token":"9af6b3c18ddf2767a106090695981caa","licence":"L-0001","member":"m-0001","nonce":"123456789012","numbers":"8vyBrjjH/v1YCLg28Vbqzzd0LMnrNGkOpTjMfwCpXlgv3eVXRu3qnQcdjpRN2YJRKjqfPUU1m65I7QHPuANnneKFCusUDo6PhtjbI60rboyZ5ul1nboDZCLpONx+IAYP440BeLP7/cJ78Zy3DMGlag==","numbers_key":"1faRT8B4c+2SXANzKlGzwtjqK60JYo2JrTyzvmsRrqr1iPIb5Z9F3R2lUZ6tfzDb7UYh/JEcejHsFccL","outcome":"PLAY","parties":"called","profile":"sample","reason":"licence-valid","registry_version":42}',NULL);
INSERT INTO "steps" VALUES(2,'pbx-1','1795.9-1','answered',1793491203123456,'{}',NULL);
INSERT INTO "steps" VALUES(3,'pbx-1','1795.9-1','sound-started',1793491203125456,'{"party":"called","profile":"sample","sha256":"5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"}',NULL);
INSERT INTO "steps" VALUES(4,'pbx-1','1795.9-1','sound-ended',1793491203527456,'{"heard_ms":400,"known_by":"packets","packets":20,"party":"called"}',NULL);
INSERT INTO "steps" VALUES(5,'pbx-1','1795.9-1','connected',1793491203529456,'{}',NULL);
INSERT INTO "steps" VALUES(6,'pbx-1','1795.9-1','ended',1793491260123456,'{"hangup_cause":16,"status":"CONNECTED"}',0);
CREATE INDEX ix_steps_at ON steps (at);
CREATE INDEX ix_steps_call_id ON steps (call_id);
COMMIT;
