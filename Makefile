# make demo   the main job, with a proof at its end
# make test   every test; the race detector where goroutines meet
# make planted  faults built in, each caught by a test (part of make test)
# make lint   formatting, vet, staticcheck, workflowcheck, import floors, the compose file
# make build  bin/anabranch
# make model  the seam as a model: all rules hold, and none can be spared (python3)
# make soak   the random tests for hours
# make test-clients  real clients at the doors (installs them from PyPI and Go's proxy into .clients)
# make bench  this program beside its peers, kept in docs/bench and shown in docs/benchmarks.md
# make bench-check  the same, compared with what is kept; red when something became worse
# make bench-go  the Go benchmarks, six times each, through benchstat
# make bench-serving  what answers cost
# make bench-batch  what backfills cost, and what they cost others
.PHONY: build demo test planted lint model soak bench bench-check bench-go bench-batch bench-serving test-clients clean

GO ?= go
# Rooms whose tests run under the race detector: those with goroutines.
RACE = ./stream/... ./ingest/... ./speed/... ./archive/... ./batch/... ./bucket/... ./serving/... ./internal/... ./activities/... ./worker/... ./cmd/...
# natslog is among both: some of its tests are not for the detector.
PLAIN = ./event/... ./fault/... ./schemas/... ./view/... ./deadletter/... ./workflows/... ./metamorphic/... ./stream/natslog
# The first run builds servers inside the tests, which takes minutes.
TIMEOUT = 45m

build:
	@sh tools/progress.sh "building bin/anabranch (minutes the first time)" $(GO) build -v -o bin/anabranch ./cmd/anabranch

demo: build
	@bin/anabranch demo

# The first line builds the Temporal and S3 servers that later tests start. The
# whole program, started, killed and cut off again and again, has the machine to
# itself, one test at a time; with -short the race detector leaves that to
# soak-race.
test:
	$(GO) test -timeout $(TIMEOUT) ./internal/temporalserver ./bucket/s3bucket
	$(GO) test -timeout $(TIMEOUT) $(PLAIN)
	$(GO) test -timeout $(TIMEOUT) -parallel 1 ./cmd/anabranch
	$(GO) test -timeout $(TIMEOUT) -race -short $(RACE)
	cd tools/temporal && $(GO) test -timeout $(TIMEOUT) ./...
	$(MAKE) planted

# Builds the tests with faults in the program and has each caught, in turn.
planted:
	$(GO) test -count=1 -timeout $(TIMEOUT) -tags planted -v -run TestCaught ./internal/planted

model:
	python3 docs/model/seam_model.py --prove 2000

# Hours, not minutes; each is one test of internal/soak/tests.go, and -j2 runs
# two at once. docs/reliability.md is made from the records they leave.
SOAKS = soak-s3 soak-metamorphic soak-model soak-kill soak-powercut soak-image soak-killpoint soak-zombie soak-network soak-damage soak-onecut soak-full soak-readwrites soak-planted soak-ids soak-race
soak:
	rm -rf .soak
	$(MAKE) -k $(SOAKS); $(GO) run ./internal/soak/report -records .soak -out docs/reliability.md

soak-%: export ANABRANCH_SOAK = $(CURDIR)/.soak
soak-%: export ANABRANCH_COMMIT = $(shell git describe --always --dirty=+)
soak-metamorphic:
	$(GO) test -timeout 12h ./metamorphic -run TestRandom -args -cases 20000 -seed 0
soak-model:
	$(GO) test -timeout 12h ./metamorphic -run TestModel -args -model 20000 -seed 0
soak-onecut:
	$(GO) test -timeout 12h ./metamorphic -run OneQueryOneCut -args -swaps 10000 -reads 1000000 -seed 0
soak-planted: planted
soak-s3:
	$(GO) test -timeout 12h ./metamorphic -run TestStoreFaults -args -storefaults 0 -seed 0
soak-readwrites:
	$(GO) test -timeout 12h ./metamorphic -run ReadYourWrites -args -histories 2000 -seed 0
soak-ids:
	$(GO) test -timeout 12h ./metamorphic -run DedupeWithoutAWindow -args -ids 100000000 -seed 0
soak-kill:
	$(GO) test -timeout 12h ./cmd/anabranch -run KilledAtRandom -args -kills 1000
soak-race:
	$(GO) test -race -parallel 1 -timeout 12h ./cmd/anabranch -run 'KilledAtRandom|TestZombieProcesses|TestNetwork|TestPowerCut'
soak-powercut:
	$(GO) test -timeout 12h ./bucket -run TestFilePowerCut -args -cuts 300000
	$(GO) test -timeout 12h ./metamorphic/power -run PowerCuts -args -cuts 30000
	$(GO) test -timeout 12h ./metamorphic/power -parallel 8 -run EveryCallFails -args -faults 1000000
soak-full:
	$(GO) test -timeout 12h ./cmd/anabranch -run 'DiskFull|TestMemory' -args -full-cycles 200 -spikes 50
soak-image:
	$(GO) test -timeout 12h ./cmd/anabranch -run TestPowerCut -args -cuts 100
soak-killpoint:
	$(GO) test -timeout 12h ./batch -run 'TestKillPoints|TestDieBetweenBarriers|TestZombie' -args -points 50
soak-zombie:
	$(GO) test -timeout 12h ./stream/natslog -run TestZombieTrims -args -zombies 500
	$(GO) test -timeout 12h ./cmd/anabranch -run TestZombieProcesses -args -stops 60
soak-network:
	$(GO) test -timeout 12h ./cmd/anabranch -run TestNetwork -args -ills 200
soak-damage:
	ANABRANCH_DAMAGE=20m $(GO) test -timeout 12h ./archive ./schemas ./speed ./deadletter ./stream/natslog ./cmd/anabranch/server -run 'Damage' -args -damage 10000

# Everything is measured on data from a seed, in turns with the peer, and every
# answer compared. BENCH takes suites and flags: make bench BENCH="batch --events 24000000".
BENCH ?=
bench: build bin/peers
	bin/anabranch bench $(BENCH) --out docs/bench --page docs/benchmarks.md
bench-check: build bin/peers
	bin/anabranch bench $(BENCH) --out .anabranch/bench/now --against docs/bench
# GOBENCH="-count=1 -benchtime=1x" tells in a minute whether they run.
GOBENCH ?= -count=6
bench-go:
	@mkdir -p bin
	$(GO) test -timeout 2h -run XXX -bench . $(GOBENCH) ./schemas ./view ./speed ./archive ./ingest ./stream/natslog | tee bin/bench.txt
	@! grep '^FAIL' bin/bench.txt
	$(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da bin/bench.txt

.PHONY: bin/peers
bin/peers:
	cd tools/peers && $(GO) build -o ../../bin/peers .

# What a workflow costs beside the library, what publishing costs in a long
# history, ten years of days in four shards, and what a backfill does to events,
# slowed and not, in turns with none at all.
bench-batch:
	$(GO) test -timeout 2h ./worker -run 'TestAYearAgain|TestPublishingCostsTheSame|TestLongRunContinues' -count=1 -v -args -bench-events 50000000 -bench-rounds 5 -bench-versions 1000 -units 14600
	$(GO) test -timeout 1h ./cmd/anabranch/server -run TestBackfillIsNotInTheWay -count=1 -v -args -pace-rounds 12

# What a merged aggregate over a million groups takes against DuckDB over the batch
# files alone, in turns, and making the overlay anew; what a Flight of a million rows takes,
# and an answer by columns against one by rows; the whole program under load: lookups, heavy
# queries beside small ones and events, PostgreSQL sessions, and the memory they leave.
bench-serving:
	$(GO) test -timeout 1h ./serving/sql -run XXX -bench 'MergedAggregate|Refresh' -benchtime 20x -count 3
	$(GO) test -timeout 1h ./serving/flightsql -run XXX -bench Flight -benchtime 20x -count 3
	$(GO) test -timeout 1h ./serving/sql -run XXX -bench 'Records|Rows' -benchtime 20x -count 3
	$(GO) test -timeout 1h ./cmd/anabranch -run TestServingUnderLoad -count=1 -v -args -bench-serving 30s

# Clients as analysts have them, at the versions of tools/clients.
test-clients: .clients/installed .clients/superset/installed .clients/grafana
	$(GO) test -count=1 -timeout 10m ./serving/flightsql -run Clients -v -args -python $(CURDIR)/.clients/bin/python
	$(GO) test -count=1 -timeout 20m ./cmd/anabranch/server -run TestClientsOverHTTP -v -args -python $(CURDIR)/.clients/bin/python
	$(GO) test -count=1 -timeout 20m ./serving/pgwire -run TestClients -v -args -python $(CURDIR)/.clients/bin/python

.clients/installed: tools/clients/requirements.txt
	python3 -m venv .clients
	.clients/bin/pip install -q --disable-pip-version-check -r $<
	touch $@

.clients/superset/installed: tools/clients/superset.txt .clients/installed
	python3 -m venv .clients/superset
	.clients/superset/bin/pip install -q --disable-pip-version-check -r $<
	touch $@

.clients/grafana: $(wildcard tools/clients/grafana/*) .clients/installed
	cd tools/clients/grafana && $(GO) build -o ../../../.clients/grafana .

lint:
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	cd tools/temporal && $(GO) vet ./...
	cd tools/peers && $(GO) vet ./...
	cd tools/clients/grafana && $(GO) vet ./...
	cd tools/lint && $(GO) vet ./... && $(GO) build -o ../../bin/composecheck . && $(GO) build -o ../../bin/staticcheck honnef.co/go/tools/cmd/staticcheck && $(GO) build -o ../../bin/workflowcheck go.temporal.io/sdk/contrib/tools/workflowcheck
	bin/staticcheck ./...
	bin/workflowcheck -config tools/lint/workflowcheck.yaml ./workflows
	bin/composecheck docker-compose.yml
	$(GO) test ./internal/floors

clean:
	rm -rf bin .anabranch
