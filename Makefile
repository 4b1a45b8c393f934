# Each target sets up what it needs, as root or not; the second time it is quick.
# Standard output belongs to what a target is for; words about setting up go to standard error.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: test-asterisk help demo fleet console console-pictures test check docs messages detector bench bench-before bench-profile bench-soak bench-brake bench-verify bench-detector bench-tones bench-timers bench-overload bench-registry bench-service-code bench-lines bench-numbers bench-reports bench-ledger bench-token bench-misuse bench-console bench-console-pages bench-console-attack bench-replication bench-fleet bench-fleet-scale bench-talking bench-servers bench-walks bench-kills bench-kills-all bench-tampering bench-metrics bench-refusals bench-identities bench-hostile bench-progress bench-phones test-breadth test-sites test-nightly fuzz audit lock dist deb test-packages venv environment lab postgresql clean public signer
# Two targets asked for in one line must not set up the same folder at once.
.NOTPARALLEL:
# Each test on a real call starts the service: compiling its modules anew each time would take a quarter of that.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
export PYTHONDONTWRITEBYTECODE :=

# Debian's own first: idtone's packages run on it.
PYTHONS := /usr/bin/python3 python3 python3.13 python3.12 python3.11
USABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in $(PYTHONS); do \
	"$$python" -c '$(USABLE)' 2>/dev/null && echo "$$python" && break; done)

VENV := .venv
RUN := $(VENV)/run.stamp
DEV := $(VENV)/dev.stamp
PAGES := $(VENV)/pages.stamp
FUZZ := $(VENV)/fuzz.stamp
AUDIT := $(VENV)/audit.stamp
RELEASE := $(VENV)/release.stamp
SETUP := setup.cfg pyproject.toml idtone/__init__.py Makefile
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
say = @printf 'idtone: %s\n' "$(1)" >&2

help:
	@echo 'make demo     shows what idtone does on a real Asterisk of its own; JSON=1 prints the findings as JSON'
	@echo 'make demo-authority  plays a year of the association through its pages in Chromium; JSON=1 as above'
	@echo 'make console  opens the console in a browser, on a real Asterisk with five calls a second; SECONDS=60 ends it'
	@echo 'make console-pictures  takes pictures of all pages in build/console, and those of the READMEs'
	@echo 'make fleet    runs two Kamailio, three PBXs, PostgreSQL with its standby, and 30 calls a second; SECONDS=60 RATE= NODES= JSON=1'
	@echo 'make public   opens the public site with the lab'"'"'s data, its number service and the report desk; SECONDS=60'
	@echo 'make test     runs the tests, those on a real Asterisk and PostgreSQL too; ARGS=… goes to pytest, SITE=… chooses a site'
	@echo 'make test-breadth  runs the tests that hold a promise of make test once more, by a further value of the same kind'
	@echo 'make test-nightly  runs all tests, also those that hold a promise once more and take long, then test-sites and fuzz'
	@echo 'make test-sites  holds the promises of a call on all sites: time zones, users, transports, idle channels, …'
	@echo 'make test-asterisk  runs the tests of calls on another Asterisk; SUITE=experimental|bullseye|forky, or ASTERISK=/prefix/sbin/asterisk'
	@echo 'make check    format, lint, types, and who may import whom'
	@echo 'make docs     makes the pages of docs/reference that come from the code, and the site, in build/site'
	@echo 'make messages  finds the texts to translate, and compiles the Japanese ones of config/locale'
	@echo 'make bench    measures what the hook costs over Asterisk itself; MINUTES=10, findings and picture in build/'
	@echo 'make bench-before  compares what the hook costs with a version before, in turns; BEFORE=FOLDER (a checkout with its .venv) TURNS=12 RATE=5 PAGE=1 JSON=1'
	@echo 'make bench-profile  samples where the processor time of Asterisk goes, with and without the hook; ASTERISK=… built with symbols, CALLS=10000 RATE=15 AGAIN=1 PAGE=1 JSON=1'
	@echo 'make bench-soak  calls for a long time, and tells what grows; MINUTES=30 RATE=50'
	@echo 'make bench-tones  times the making of an hour of sound beside sox, ffmpeg and memcpy; JSON=1 as above'
	@echo 'make bench-timers  waits until session timers (RFC 4028) are refreshed and expire, on a real Asterisk'
	@echo 'make bench-overload  finds how many calls a second are served, and offers three times as many; JSON=1 as above'
	@echo 'make bench-registry  verifies, reads and asks a registry of a million numbers, and runs each command of the office on it; JSON=1 as above'
	@echo "make bench-service-code  the processor time of the service's own code for a call, without Asterisk; CALLS=4000 JSON=1"
	@echo 'make bench-lines  decides by a table of a million numbers of customers, and reads it; NUMBERS=10000 CUSTOMERS=1000 MEMBERS=10 JSON=1'
	@echo 'make bench-numbers  presents own, foreign and forbidden numbers in all spellings, with the service up, away and restarting; CALLS=10000 RATE=20 SEED=… JSON=1'
	@echo 'make bench-reports  lists, finds and counts the reports of a year, beside the bare query; REPORTS=50000 JSON=1'
	@echo 'make bench-ledger  writes, proves, verifies, searches and publishes evidence, beside a bare INSERT loop; RECORDS=300000 LARGE=FOLDER JSON=1'
	@echo 'make bench-token  signs with the key of the log in a file and in a PKCS#11 token (SoftHSM), in turns; JSON=1'
	@echo 'make bench-misuse  scans a ledger of a million calls for misuse, beside ledger list; CALLS=100000 JSON=1'
	@echo 'make bench-brake  replays fraud and an ordinary year of 200 customers at the brake; DAYS=30 SEED=1000 JSON=1'
	@echo 'make bench-console  finds calls in the console, in a ledger of a million; CALLS=100000 JSON=1'
	@echo 'make bench-console-attack  times each page of the console while 200 hostile requests are in flight; CALLS=100000 PAGE=1 JSON=1'
	@echo 'make bench-console-pages  times each page of the console, and calls beside 200 open pages; CALLS=100000 JSON=1'
	@echo 'make bench-replication  replicates evidence into a real PostgreSQL, beside its own COPY and INSERT; JSON=1 as above'
	@echo 'make bench-fleet  lets parts of a fleet fail while calls come, and counts what is lost; RATE=30 MINUTES=10 ONLY=… JSON=1'
	@echo 'make bench-fleet-scale  measures one, two and three nodes, beside what the model reckons; RATE=20 JSON=1'
	@echo 'make bench-talking  measures what a call takes while its parties talk; CALLS=200 JSON=1'
	@echo 'make bench-servers  replicates nodes to one PostgreSQL and to two, and kills one of them; CALLS=2000 JSON=1'
	@echo 'make bench-metrics  measures what the metrics and their scrapers cost a call; ROUNDS=6 RATE=20'
	@echo 'make bench-walks  walks random paths through calls on a real Asterisk; PATHS=2000 SEED=… ROUND=… JSON=1'
	@echo 'make bench-kills  kills the service again and again while calls come; KILLS=100 SEED=… ROUND=… JSON=1'
	@echo 'make bench-kills-all  kills the service and Asterisk at once, and looks for calls without evidence; as above'
	@echo 'make bench-tampering  tampers with ledgers, tiles and packs, and counts what four verifiers do not find; COUNT=20000 SEED=… PAGE=1'
	@echo 'make bench-refusals  measures a check of a customer against a million tokens; TOKENS=1000000 JSON=1'
	@echo 'make bench-identities  counts refused customers that are missed, and others that are taken for them; JSON=1'
	@echo 'make bench-hostile  sends hostile INVITEs beside honest calls; COUNT=100000 SEED=1 RATE=40 ROUND=5000 WEAPON=… JSON=1'
	@echo 'make bench-progress  keeps thousands of calls up while the service starts, dies and ends some of them; CALLS=3000 ENDPOINTS=25 RATE=15 ONLY=suspension JSON=1'
	@echo 'make bench-phones  calls phones of others in seventy situations, and holds the record against what they received; COUNT=20 ONLY=… JSON=1'
	@echo 'make fuzz     feeds everything that reads foreign input with damaged input; SECONDS=60 says for how long each'
	@echo 'make audit    asks PyPI for known vulnerabilities of what is installed, and of requirements.lock'
	@echo 'make lock     writes requirements.lock, the libraries of the Debian packages; UPGRADE=1 takes the newest'
	@echo 'make dist     makes source archive, wheel and list of components (SBOM) in dist/'
	@echo 'make detector  packs the browser'"'"'s detector for npm in dist/'
	@echo 'make signer   makes idtone-sign as one file for holders in dist/; FOR=win_amd64 PYTHON_VERSION=3.12 for another system'
	@echo 'make deb      makes the package of the running Debian in dist/, as root; RELEASES="bookworm trixie" makes these'
	@echo 'make test-packages  installs the wheel, then installs, upgrades, removes and purges both packages while calls come, and runs the page of the first day, as root; RELEASES=… one of them'
	@echo 'make test-packages DRILLS=all  also runs the pages of the first month, and fails what they name: longer, before a release'
	@echo 'make bench-verify  judges the verifier against its goals; HOURS=300 TRIALS=3000 for the whole of it (hours)'
	@echo 'make bench-detector  holds the browser'"'"'s detector against the verifier, and lets it listen to speech; TRIALS=1 HOURS=50 JSON=1'
	@echo 'make venv     makes .venv with the idtone command'
	@echo 'make clean    removes .venv and all that was built'

demo: $(RUN) lab
	@$(VENV)/bin/python -m lab.demo $(if $(JSON),--json)

.PHONY: demo-authority
demo-authority: $(DEV)
	@$(VENV)/bin/python -m lab.office.pages $(if $(JSON),--json)

fleet: $(DEV) lab
	@$(VENV)/bin/python -m lab.operations.fleet.demo $(if $(filter file,$(origin SECONDS)),,--seconds $(SECONDS)) \
		$(if $(RATE),--rate $(RATE)) $(if $(NODES),--nodes $(NODES)) $(if $(JSON),--json)

public: $(DEV)
	@$(VENV)/bin/python -m lab.office.site.demo $(if $(filter file,$(origin SECONDS)),,--seconds $(SECONDS))

console: $(DEV) lab
	@$(VENV)/bin/python -m lab.console.demo $(if $(filter file,$(origin SECONDS)),,--seconds $(SECONDS))

console-pictures: $(DEV) lab
	@PICTURES=build/console $(VENV)/bin/python -m pytest -q tests/console/browser/test_pages.py
	@$(VENV)/bin/python -m tools.console_pictures docs/images

BY_DAY := not breadth and not nightly
WORKERS ?= 3
CALLERS ?= 4

test: $(DEV) lab postgresql
ifdef ARGS
	@$(VENV)/bin/python -m pytest $(ARGS)
else
	@$(VENV)/bin/python -m lab.test_phases '$(BY_DAY)' --workers $(WORKERS) --callers $(CALLERS)
endif

test-breadth: BY_DAY := breadth and not nightly
test-breadth: test

test-nightly: BY_DAY :=
test-nightly: test test-sites fuzz

test-sites: $(DEV) lab
	@SITES=all $(VENV)/bin/python -m pytest -v -s tests/calls/test_sites.py $(ARGS)

# Debian's Asterisk of another release, or an own build; ASTERISK= also works with each other target. One that idtone
# does not support must be refused.
test-asterisk: export ASTERISK_SUITE := $(SUITE)
test-asterisk: $(DEV)
	@tests=$$($(VENV)/bin/python -m lab.chosen_asterisk) && \
		$(VENV)/bin/python -m pytest -n $(CALLERS) --dist loadfile --no-loadscope-reorder -m 'not alone' $${ARGS:-$$tests} && \
		case "$${ARGS:-$$tests}" in tests/calls*) $(VENV)/bin/python -m pytest -m alone tests/calls;; esac

check: $(DEV)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(PAGES)
	@$(VENV)/bin/python -m tools.reference_pages
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet --strict

messages: $(DEV)
	@$(VENV)/bin/python -m tools.messages

bench: $(DEV) lab
	@mkdir -p build
	@$(VENV)/bin/python -m bench.cost $(if $(MINUTES),--minutes $(MINUTES)) --json build/bench.json --plot build/bench.png

bench-before: $(DEV) lab
	@$(VENV)/bin/python -m bench.cost.compare_versions $(BEFORE) $(if $(TURNS),--turns $(TURNS)) \
		$(if $(RATE),--rate $(RATE)) $(if $(JSON),--json) $(if $(PAGE),--page)

bench-profile: $(DEV) lab
	@$(VENV)/bin/python -m bench.cost.asterisk_time $(if $(CALLS),--calls $(CALLS)) $(if $(RATE),--rate $(RATE)) $(if $(TURNS),--turns $(TURNS)) \
		$(if $(AGAIN),--again) $(if $(PAGE),--page) $(if $(JSON),--json)

bench-soak: $(DEV) lab
	@mkdir -p build
	@$(VENV)/bin/python -m bench.cost.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE)) \
		--json build/bench-soak.json

bench-tones: $(DEV)
	@$(VENV)/bin/python -m bench.tones $(if $(JSON),--json)

bench-timers: $(DEV) lab
	@$(VENV)/bin/python -m pytest tests/bench/session_timers.py $(ARGS)

bench-overload: $(DEV) lab
	@$(VENV)/bin/python -m bench.overload $(if $(JSON),--json)

bench-registry: $(DEV)
	@$(VENV)/bin/python -m bench.registry $(if $(JSON),--json)

bench-service-code: $(DEV)
	@$(VENV)/bin/python -m bench.service_code_time $(if $(CALLS),--calls $(CALLS)) $(if $(JSON),--json)

bench-lines: $(DEV)
	@$(VENV)/bin/python -m bench.customer_lines $(if $(NUMBERS),--numbers $(NUMBERS)) $(if $(CUSTOMERS),--customers $(CUSTOMERS)) \
		$(if $(MEMBERS),--members $(MEMBERS)) $(if $(JSON),--json)

bench-numbers: $(DEV) lab
	@$(VENV)/bin/python -m bench.presented_number_check $(if $(CALLS),--calls $(CALLS)) $(if $(RATE),--rate $(RATE)) \
		$(if $(SEED),--seed $(SEED)) $(if $(JSON),--json)

bench-reports: $(DEV)
	@$(VENV)/bin/python -m bench.reports $(if $(REPORTS),--reports $(REPORTS)) $(if $(JSON),--json)

bench-ledger: $(DEV)
	@$(VENV)/bin/python -m bench.ledger $(if $(RECORDS),--records $(RECORDS)) $(if $(LARGE),--large $(LARGE)) $(if $(JSON),--json)

bench-token: $(DEV)
	@$(VENV)/bin/python -m bench.token_signing $(if $(JSON),--json)

bench-misuse: $(DEV)
	@$(VENV)/bin/python -m bench.misuse $(if $(CALLS),--calls $(CALLS)) $(if $(JSON),--json)

bench-brake: $(DEV)
	@$(VENV)/bin/python -m bench.brake $(if $(DAYS),--days $(DAYS)) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json)

bench-console: $(DEV)
	@$(VENV)/bin/python -m bench.console_search $(if $(CALLS),--calls $(CALLS)) $(if $(JSON),--json)

bench-console-pages: $(DEV) lab
	@$(VENV)/bin/python -m bench.console_pages $(if $(CALLS),--calls $(CALLS)) $(if $(JSON),--json)

bench-console-attack: $(DEV)
	@$(VENV)/bin/python -m bench.console_attack $(if $(CALLS),--calls $(CALLS)) $(if $(PAGE),--page) $(if $(JSON),--json)

bench-replication: $(DEV)
	@$(VENV)/bin/python -m bench.replication $(if $(JSON),--json)

bench-fleet: $(DEV) lab
	@$(VENV)/bin/python -m bench.fleet $(if $(RATE),--rate $(RATE)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(ONLY),--only '$(ONLY)') $(if $(JSON),--json)

bench-fleet-scale: $(DEV) lab
	@$(VENV)/bin/python -m bench.fleet.node_scaling $(if $(RATE),--rate $(RATE)) $(if $(JSON),--json)

bench-servers: $(DEV)
	@$(VENV)/bin/python -m bench.fleet.replica_servers $(if $(CALLS),--calls $(CALLS)) $(if $(JSON),--json)

bench-talking: $(DEV) lab
	@$(VENV)/bin/python -m bench.fleet.talking_calls $(if $(CALLS),--calls $(CALLS)) $(if $(JSON),--json)

bench-metrics: $(DEV) lab
	@$(VENV)/bin/python -m bench.metrics $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(RATE),--rate $(RATE))

bench-walks: $(DEV) lab
	@$(VENV)/bin/python -m bench.call_rounds walks $(if $(PATHS),--paths $(PATHS)) $(BENCH)

bench-kills: $(DEV) lab
	@$(VENV)/bin/python -m bench.call_rounds kills $(if $(KILLS),--kills $(KILLS)) $(BENCH)

bench-kills-all: $(DEV) lab
	@$(VENV)/bin/python -m bench.call_rounds everything $(if $(KILLS),--kills $(KILLS)) $(BENCH)

bench-tampering: $(DEV)
	@$(VENV)/bin/python -m bench.tampering $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json) \
		$(if $(PAGE),--page) $(if $(RESULT),--result $(RESULT))

bench-refusals: $(DEV)
	@$(VENV)/bin/python -m bench.refusal_check $(if $(TOKENS),--tokens $(TOKENS)) $(if $(JSON),--json)

bench-identities: $(DEV)
	@$(VENV)/bin/python -m bench.identity_matching $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json)

bench-hostile: $(DEV) lab
	@$(VENV)/bin/python -m bench.hostile_invites $(if $(COUNT),--count $(COUNT)) $(if $(RATE),--rate $(RATE)) \
		$(if $(WEAPON),--weapon $(WEAPON)) $(BENCH)

bench-progress: $(DEV) lab
	@$(VENV)/bin/python -m bench.calls_in_progress $(if $(CALLS),--calls $(CALLS)) $(if $(ENDPOINTS),--endpoints $(ENDPOINTS)) $(if $(RATE),--rate $(RATE)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json)

bench-phones: $(DEV) lab
	@$(VENV)/bin/python -m bench.phones $(if $(COUNT),--count $(COUNT)) $(if $(ONLY),--only '$(ONLY)') $(if $(JSON),--json)

BENCH = $(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND)) $(if $(JSON),--json)

SECONDS ?= 60

# Files of tests that try examples.
EXAMPLED = $$(grep -rl --include='test_*.py' '^@given' tests)

fuzz: $(FUZZ)
	@EXAMPLES=search $(VENV)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile -m 'not alone' $(EXAMPLED)
	@for target in lab.tones.recordings.fuzz lab.agi.fuzz lab.hostile.fuzz; do \
		$(VENV)/bin/python -m $$target --seconds $(SECONDS) || exit; done

audit: $(AUDIT)
	@$(VENV)/bin/python -m pip_audit --skip-editable --progress-spinner off
	@$(VENV)/bin/python -m pip_audit --requirement requirements.lock --disable-pip --strict --progress-spinner off

lock: $(RELEASE)
	@$(VENV)/bin/uv pip compile setup.cfg --extra console --extra mariadb --extra openid --extra postgresql --extra token --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --quiet \
		$(if $(UPGRADE),--upgrade) --output-file requirements.lock

dist: $(RELEASE)
	@$(VENV)/bin/python -m tools.dist
	@$(VENV)/bin/twine check --strict dist/*.whl dist/*.tar.gz
	@$(VENV)/bin/cyclonedx-py requirements requirements.lock --output-reproducible --of JSON -o dist/idtone.cdx.json

detector: $(DEV)
	@$(VENV)/bin/python -m tools.detector_package

signer: $(DEV)
	@$(VENV)/bin/python -m tools.signer_executable $(FOR) $(PYTHON_VERSION)

deb: $(DEV)
	@$(VENV)/bin/python -m tools.deb $(RELEASES)

test-packages: $(DEV) lab
	@RELEASES='$(RELEASES)' DRILLS='$(DRILLS)' $(VENV)/bin/python -m pytest -v tests/packages/virtual_environment.py \
		tests/packages/wheel.py tests/packages/installation.py tests/packages/office_first_day.py tests/packages/first_month.py \
		tests/packages/second_node.py $(ARGS)

bench-verify: $(DEV)
	@mkdir -p build
	@$(VENV)/bin/python -m bench.verify $(if $(HOURS),--hours $(HOURS)) $(if $(TRIALS),--trials $(TRIALS)) \
		--json build/bench-verify.json $(ARGS)

bench-detector: $(DEV)
	@$(VENV)/bin/python -m bench.detector $(if $(TRIALS),--trials $(TRIALS)) $(if $(HOURS),--hours $(HOURS)) $(if $(JSON),--json)

venv: $(RUN)
	$(call say,$(VENV)/bin/idtone is ready)

$(RUN): $(SETUP)
	@$(MAKE) environment
	$(call say,installing idtone into $(VENV) …)
	@$(PIP) install --editable '.[console]' >&2
	@touch $@

$(DEV): $(SETUP)
	@$(MAKE) environment
	$(call say,installing idtone and the tools for its development into $(VENV) …)
	@$(PIP) install --editable '.[console,dev]' >&2
	@touch $(RUN) $@

$(PAGES): $(DEV)
	$(call say,installing what makes the site into $(VENV) …)
	@$(PIP) install --editable '.[docs]' >&2
	@touch $@

$(FUZZ): $(DEV)
	$(call say,installing the fuzzer into $(VENV) …)
	@$(PIP) install --editable '.[fuzz]' >&2
	@touch $@

$(AUDIT): $(RUN)
	$(call say,installing pip-audit into $(VENV) …)
	@$(PIP) install --editable '.[audit]' >&2
	@touch $@

$(RELEASE): $(DEV)
	$(call say,installing the tools for a release into $(VENV) …)
	@$(PIP) install --editable '.[release]' >&2
	@touch $@

environment:
	@test -n '$(PYTHON)' || { echo 'idtone: no Python 3.11 to 3.13 here; install one, or say make PYTHON=…' >&2; exit 2; }
	$(call say,making sure of $(VENV) ($(PYTHON)) …)
	@$(PYTHON) -m lab.virtual_environment $(VENV) >&2

# A real Asterisk, so that fetching one is seen and its errors are read.
lab:
	@$(if $(wildcard $(VENV)/bin/python),$(VENV)/bin/python,$(PYTHON)) -m lab.asterisk_installation >&2

postgresql: $(DEV)
	@$(VENV)/bin/python -m lab.postgresql >&2

clean:
	rm -rf $(VENV) build dist idtone.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
