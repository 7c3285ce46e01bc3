# make demo   the main job, with a proof at its end
# make test   every test; the race detector where goroutines meet
# make lint   formatting, vet, staticcheck, import floors, the compose file
# make build  bin/anabranch
.PHONY: build demo test test-fast lint clean

GO ?= go
# Rooms whose tests run under the race detector: those with goroutines.
RACE = ./stream/... ./ingest/... ./speed/... ./archive/... ./batch/... ./bucket/... ./serving/... ./internal/... ./activities/... ./worker/... ./cmd/...

build:
	$(GO) build -o bin/anabranch ./cmd/anabranch

demo: build
	bin/anabranch demo

test:
	$(GO) vet ./...
	$(GO) test ./event/... ./fault/... ./schemas/... ./view/... ./deadletter/... ./workflows/...
	$(GO) test -race $(RACE)

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt -w the files above"; exit 1; }
	$(GO) vet ./...
	cd tools/temporal && $(GO) vet ./...
	cd tools/lint && $(GO) vet ./... && $(GO) build -o ../../bin/composecheck . && $(GO) build -o ../../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck ./...
	bin/composecheck docker-compose.yml
	$(GO) test ./internal/floors

clean:
	rm -rf bin .anabranch
