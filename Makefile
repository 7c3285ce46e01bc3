# make demo   the main job, with a proof at its end
# make test   every test; the race detector where goroutines meet
# make lint   formatting, vet, staticcheck, import floors, the compose file
# make build  bin/anabranch
.PHONY: build demo test lint soak bench clean

GO ?= go
# Rooms whose tests run under the race detector: those with goroutines.
RACE = ./stream/... ./ingest/... ./speed/... ./archive/... ./batch/... ./bucket/... ./serving/... ./internal/... ./activities/... ./worker/... ./cmd/...
PLAIN = ./event/... ./fault/... ./schemas/... ./view/... ./deadletter/... ./workflows/...
# The first run builds a Temporal server and an S3 server inside the tests.
TIMEOUT = 45m

build:
	@sh tools/progress.sh "building bin/anabranch (minutes the first time)" $(GO) build -v -o bin/anabranch ./cmd/anabranch

demo: build
	@bin/anabranch demo

test:
	$(GO) test -timeout $(TIMEOUT) $(PLAIN)
	$(GO) test -timeout $(TIMEOUT) -race $(RACE)
	cd tools/temporal && $(GO) test -timeout $(TIMEOUT) ./...

lint:
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	cd tools/temporal && $(GO) vet ./...
	cd tools/lint && $(GO) vet ./... && $(GO) build -o ../../bin/composecheck . && $(GO) build -o ../../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck ./...
	bin/composecheck docker-compose.yml
	$(GO) test ./internal/floors

clean:
	rm -rf bin .anabranch
