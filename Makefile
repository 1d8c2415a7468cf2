GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE     ?= $(shell git log -1 --format=%cI 2>/dev/null)
LDFLAGS   = -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
PACKAGES ?= ./...
FUZZTIME ?= 20s
TIMERS   ?= 1m
ARGS     ?=

.DEFAULT_GOAL := build
.PHONY: help build run cluster interop test test-units test-poison test-crashes test-interop race race-units race-interop timers long peers fuzz check bench pictures figures clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

build: ## build bin/fanloop with version information (default)
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/fanloop ./cmd/fanloop

run: build ## run the chat on http://127.0.0.1:8000/, with its messages in .cache/chat; ARGS="..." adds flags
	@bin/fanloop chat --data-dir .cache/chat $(ARGS)

cluster: build ## run three nodes of one chat on this machine, on ports 8010, 8020 and 8030
	@cmd/fanloop/chat/cluster.sh $(ARGS)

interop: ## install what the interoperability tests drive, where possible
	@.ci/interop

test: interop test-units test-poison ## run all tests; PACKAGES="./codec/..." narrows them
ifneq ($(filter ./... ./engine/... ./engine/cluster/...,$(PACKAGES)),)
test: test-crashes
endif
ifeq ($(PACKAGES),./...)
test: test-interop
endif

test-units: interop
	$(GO) test -timeout 20m $(PACKAGES)
test-poison:
	$(GO) test -tags poison -run Poison ./engine ./engine/pull
test-crashes:
	FANLOOP_CRASHES=20 $(GO) test -count=1 -run TestNodesAreKilled ./engine/cluster/live
test-interop: interop
	cd engine/interop && $(GO) test ./...

race: race-units ## run the tests under the race detector, those of loop with netpoll too
ifneq ($(filter ./... ./engine/...,$(PACKAGES)),)
race: race-interop
endif

race-units:
	$(GO) test -race -tags netpoll -timeout 20m $(PACKAGES)
race-interop:
	cd engine/interop && $(GO) test -race -run 'Go|Gorilla|Coder|Peers|Example' ./...

timers: ## play the random models with all timers on for TIMERS (1m) each, under the race detector
	FANLOOP_MODEL=$(TIMERS) $(GO) test -race -tags netpoll -count=1 -run TestTimeModel ./engine

long: ## kill nodes of a cluster a hundred times, and play the random models for long, with seeds never played before
	FANLOOP_CRASHES=100 FANLOOP_SEED=random $(GO) test -count=1 -timeout 30m -v -run TestNodesAreKilled ./engine/cluster/live
	FANLOOP_CRASHES=20 $(GO) test -count=1 -timeout 30m -v -run TestLeadersAreKilledAndThenAll ./cmd/fanloop/chat/service
	FANLOOP_ROUNDS=200 FANLOOP_SEED=random $(GO) test -race -count=1 -timeout 30m -run TestModel ./engine/cluster ./engine/cluster/internal/... ./engine/cluster/keyed ./engine/cluster/passive ./engine/cluster/presence
	FANLOOP_ROUNDS=50 FANLOOP_SEED=random $(GO) test -race -count=1 -timeout 30m -run TestModel ./engine/cluster/live ./engine/cluster/relay
	FANLOOP_LONG=1 FANLOOP_SEED=random $(GO) test -race -count=1 -timeout 30m -run 'Random|TestGapModel|TestSlowUnsubscribe' ./engine
	FANLOOP_MODEL=10m FANLOOP_SEED=random $(GO) test -race -tags netpoll -count=1 -timeout 30m -run TestTimeModel ./engine
	FANLOOP_ROUNDS=500 FANLOOP_SEED=random $(GO) test -race -count=1 -timeout 30m -run 'ByChance|TestClientInNode' ./cmd/fanloop/chat/session ./cmd/fanloop/chat/client

portable: ## vet the packages for Windows, and test loop and engine on the portable backend here
	@GO='$(GO)' .ci/vet windows ./codec ./handshake ./loop ./engine ./engine/internal/... ./engine/pull ./cmd/...
	$(GO) vet -tags portable ./loop ./engine
	$(GO) test -tags portable -timeout 8m ./loop ./engine

peers: ## build and test the servers that bench compares with (a module of their own)
	cd bench/peers && $(GO) vet ./... && $(GO) test ./...

# go test -list prints a package's targets, then its "ok" line.
fuzz: ## run every fuzz target for FUZZTIME (20s)
	@for module in . $(if $(filter ./...,$(PACKAGES)),engine/interop); do ( \
		cd $$module; \
		list=$$($(GO) test -list '^Fuzz' $(PACKAGES)) || { echo "$$list"; exit 1; }; \
		echo "$$list" | awk '/^Fuzz/ { name[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, name[i]; n = 0 }' | \
		while read -r package name; do \
			echo "== $$package $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null || exit 1; \
		done \
	) || exit 1; done

pictures: ## write what the chat's pages look like into .cache/pictures (needs Chromium)
	FANLOOP_INTEROP=required FANLOOP_PICTURES=$(CURDIR)/.cache/pictures $(GO) test -count=1 -run TestPictures ./cmd/fanloop/chat/page ./cmd/fanloop/chat/admin

figures: ## measure the chat's page in Chromium: its first load, and its frames while messages arrive
	FANLOOP_INTEROP=required FANLOOP_FIGURES=1 $(GO) test -count=1 -v -run TestFigures ./cmd/fanloop/chat/page

# What vet looks at for other platforms: not the brokers, whose servers take long to compile.
CORE = ./codec ./handshake ./loop ./engine ./engine/internal/... ./engine/pull ./engine/cluster ./cmd/...

check: ## gofmt, vet (also macOS, FreeBSD, 32 bits and the poison build), staticcheck, govulncheck
	@files=$$(gofmt -l .) || exit 1; [ -z "$$files" ] || { echo "run gofmt -w on:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags poison ./...
	$(GO) vet -tags netpoll ./loop
	cd engine/interop && $(GO) vet ./...
	GOOS=darwin $(GO) vet $(CORE)
	GOOS=freebsd $(GO) vet $(CORE)
	GOARCH=386 $(GO) vet $(CORE)
	GOARCH=arm $(GO) vet $(CORE)
	$(GO) tool staticcheck ./...
	cd engine/interop && $$($(GO) -C ../.. tool -n staticcheck) ./...
	@GO='$(GO)' .ci/vulncheck

bench: ## run the standard suite of benchmarks into bench/results; ARGS="..." adds flags
	$(GO) run ./cmd/fanloop bench suite --out bench/results $(ARGS)

clean: ## remove what the other targets made
	rm -rf bin .cache engine/interop/testdata/npm/node_modules cmd/fanloop/chat/client/test/npm/node_modules
