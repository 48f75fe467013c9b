# Every command a person types. `make help` lists them.
PROFILE ?= article
N ?= 5
FAULT ?= all
# More flags for the gate, see bin/sharedpid -h.
ARGS ?=
# OCI runtimes to decide the traits under, such as runc,crun,runsc; the nodes' own by default.
RUNTIMES ?=
comma := ,
RUNTIME_FLAGS = $(foreach runtime,$(subst $(comma), ,$(RUNTIMES)),-runtime=$(runtime))
GATE = bin/sharedpid -test.timeout=30m -profile=$(PROFILE) \
	$(RUNTIME_FLAGS) $(if $(REPORT_DIR),-report-dir=$(REPORT_DIR)) $(if $(KEEP),-keep) $(ARGS)

.PHONY: help
help: ## list these commands
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: e2e
e2e: bin ## provision a kind cluster, decide the traits, report, delete the cluster (PROFILE=, RUNTIMES=, KEEP=1, REPORT_DIR=, ARGS=)
	bin/setup $(RUNTIME_FLAGS) $(SETUP_ARGS)
	$(GATE)

.PHONY: runtimes
runtimes: ## decide profile core under runc, crun and gVisor side by side on one cluster (RUNTIMES=, KEEP=1)
	$(MAKE) e2e PROFILE=core RUNTIMES=$(or $(RUNTIMES),runc$(comma)crun$(comma)runsc) ARGS="-expect=fixtures/runtimes/deviations.yaml $(ARGS)"

.PHONY: findings
findings: ## write fixtures/runtimes/FINDINGS.md from the reports of make runtimes
	go run ./reports/findings $(or $(REPORT_DIR),reports/out)/run.json > fixtures/runtimes/FINDINGS.md.new
	mv fixtures/runtimes/FINDINGS.md.new fixtures/runtimes/FINDINGS.md

# The race detector needs a C compiler.
RACE := $(if $(shell command -v gcc),-race)

.PHONY: test
test: ## run the project's own tests; no cluster is needed
	go test $(RACE) -skip '^Test(Conformance|Faults)$$' ./...

.PHONY: faults
faults: bin ## prove that the gate bites: every faulty runtime turns exactly the traits that it breaks (FAULT=all)
	@bin/setup $(SETUP_ARGS)
	bin/sharedpid -test.timeout=30m -profile=core -fault=$(FAULT) -cluster-name=sharedpid-faults \
		-report-dir=$(or $(REPORT_DIR),reports/out/faults) $(ARGS)

.PHONY: list
list: bin ## print the traits of a profile (PROFILE=)
	@bin/sharedpid -list -profile=$(PROFILE)

.PHONY: node-image
node-image: bin ## build the local node image with the test images in it
	bin/setup -node-image=local

.PHONY: bench
bench: bin ## time N whole runs, clusters included: min, median and max of each phase
	@bin/setup $(RUNTIME_FLAGS)
	@rm -rf reports/out/bench
	@for run in $$(seq $(N)); do $(GATE) -report-dir=reports/out/bench/$$run || exit $$?; done
	go run ./reports/bench reports/out/bench/*/run.json

.PHONY: soak
soak: bin ## N runs of a profile on one kept cluster: their spread, and whether all are conformant (N=20 PROFILE=full)
	@bin/setup $(RUNTIME_FLAGS)
	@rm -rf reports/out/soak
	@for run in $$(seq $(N)); do echo "==> run $$run of $(N)"; \
		$(GATE) -keep -report-dir=reports/out/soak/$$run 2>&1 | grep -E '^(phases|conformant:|nonconformant|inconclusive)'; done
	go run ./reports/bench reports/out/soak/*/run.json

.PHONY: diff
diff: ## what changed between two runs; fails when something got worse (OLD=a/run.json NEW=b/run.json, MARKDOWN=1)
	@mkdir -p bin
	@go build -o bin/diff ./reports/diff
	@bin/diff $(if $(MARKDOWN),-markdown) $(if $(OLD),"$(OLD)") $(if $(NEW),"$(NEW)")

.PHONY: catalogue
catalogue: ## write suites/CATALOGUE.md from the traits and suites/FAULTS.md from the faults
	go test ./suites -run '^Test(Catalogue|FaultsPage)IsCurrent$$' -args -update-catalogue -update-faults

.PHONY: lint
lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l fixtures helpers reports suites); test -z "$$unformatted" || { echo "not gofmt-clean: $$unformatted"; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

.PHONY: clean
clean: bin ## delete the clusters, files and reports that runs left
	bin/setup -clean
	rm -rf bin reports/out

.PHONY: bin
bin:
	@mkdir -p bin
	@go build -o bin/setup ./helpers/setup
	@go test -c -o bin/sharedpid ./suites
