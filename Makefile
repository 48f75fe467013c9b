# Every command a person types. `make help` lists them.
PROFILE ?= article
N ?= 5
FAULT ?= all
CONDITION ?= all
# More flags for the run, see bin/sharedpid run --help.
ARGS ?=
# OCI runtimes to check the traits under, such as runc,crun,runsc; the nodes' own by default.
RUNTIMES ?=
# Versions of what is in the nodes, each the newest known one by default: an image with them is then built and taken.
KUBERNETES ?=
CONTAINERD ?=
RUNC ?=
comma := ,
RUNTIME_FLAGS = $(foreach runtime,$(subst $(comma), ,$(RUNTIMES)),--runtime=$(runtime))
NODE_FLAGS = $(if $(KUBERNETES),--kubernetes=$(KUBERNETES)) $(if $(CONTAINERD),--containerd=$(CONTAINERD)) $(if $(RUNC),--runc=$(RUNC))
RUN = bin/sharedpid run --profile=$(PROFILE) $(RUNTIME_FLAGS) $(NODE_FLAGS) $(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) \
	$(if $(KEEP),--keep) $(ARGS)
SETUP = bin/sharedpid setup $(RUNTIME_FLAGS) $(NODE_FLAGS) $(SETUP_ARGS)

.PHONY: help
help: ## list these commands
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: e2e
e2e: bin ## provision a kind cluster, check the traits, report, delete it (PROFILE=, RUNTIMES=, KUBERNETES=, KEEP=1, REPORT_DIR=, ARGS=)
	$(SETUP)
	$(RUN)

.PHONY: runtimes
runtimes: ## check profile core under runc, crun and gVisor side by side on one cluster (RUNTIMES=, KEEP=1)
	$(MAKE) e2e PROFILE=core RUNTIMES=$(or $(RUNTIMES),runc$(comma)crun$(comma)runsc) REPORT_DIR=$(or $(REPORT_DIR),reports/out/runtimes) \
		ARGS="--known-deviations=fixtures/runtimes/deviations.yaml $(ARGS)"

.PHONY: findings
findings: bin ## write fixtures/runtimes/FINDINGS.md from the reports of make runtimes
	bin/sharedpid findings $(or $(REPORT_DIR),reports/out/runtimes)/run.json > fixtures/runtimes/FINDINGS.md.new
	mv fixtures/runtimes/FINDINGS.md.new fixtures/runtimes/FINDINGS.md

# The race detector needs a C compiler.
RACE := $(if $(shell command -v gcc),-race)

.PHONY: test
test: ## run the project's own tests; no cluster is needed
	go test $(RACE) ./...

.PHONY: recordings
recordings: ## keep what make faults and make e2e PROFILE=full looked at, whichever ran, as the recordings that unit tests judge
	go test ./suites -run '^TestRecorded' -args \
		$(addprefix -record-faults=,$(wildcard $(CURDIR)/reports/out/faults/run.json)) \
		$(addprefix -record-healthy=,$(wildcard $(CURDIR)/reports/out/conformance/run.json))

.PHONY: mutants
mutants: ## prove that the tests bite: each deliberate defect of the suite must fail one
	go run ./helpers/mutants

.PHONY: faults
faults: bin ## prove that the suite bites: every faulty runtime turns exactly the traits that it breaks (FAULT=all)
	@bin/sharedpid setup $(NODE_FLAGS) $(SETUP_ARGS)
	bin/sharedpid faults $(NODE_FLAGS) --fault=$(FAULT) $(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

.PHONY: conditions
conditions: bin ## prove that the suite accuses nobody wrongly: policies, missing rights, taints and the like (CONDITION=all)
	@bin/sharedpid setup $(NODE_FLAGS) $(SETUP_ARGS)
	bin/sharedpid conditions $(NODE_FLAGS) --condition=$(CONDITION) $(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

.PHONY: machine
machine: bin ## check profile core in an emulated virtual machine, where AppArmor confines the containers (PROFILE=, ARGS=); as root
	@bin/sharedpid setup --node-image=local
	bin/sharedpid machine $(if $(filter command environment,$(origin PROFILE)),--profile=$(PROFILE)) \
		$(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

.PHONY: list
list: bin ## print the traits of a profile (PROFILE=)
	@bin/sharedpid list --profile=$(PROFILE)

.PHONY: node-image
node-image: bin ## build the local node image with the test images in it (KUBERNETES=, CONTAINERD=, RUNC=)
	bin/sharedpid setup --node-image=local $(NODE_FLAGS)

.PHONY: bench
bench: bin ## time N whole runs, clusters included: min, median and max of each phase
	@$(SETUP)
	@rm -rf reports/out/bench
	@for run in $$(seq $(N)); do $(RUN) --report-dir=reports/out/bench/$$run || exit $$?; done
	bin/sharedpid bench reports/out/bench/*/run.json

.PHONY: soak
soak: bin ## N runs of a profile on one kept cluster: their spread, and whether all agree (N=20 PROFILE=full)
	@$(SETUP)
	@rm -rf reports/out/soak
	@for run in $$(seq $(N)); do echo "==> run $$run of $(N)"; \
		$(RUN) --keep --report-dir=reports/out/soak/$$run 2>&1 | grep -E '^(phases|conformant:|nonconformant|inconclusive)'; done
	bin/sharedpid bench reports/out/soak/*/run.json

.PHONY: diff
diff: bin ## what changed between two runs; fails when something got worse (OLD=a/run.json NEW=b/run.json, MARKDOWN=1)
	@bin/sharedpid diff $(if $(MARKDOWN),--markdown) $(if $(OLD),"$(OLD)") $(if $(NEW),"$(NEW)")

.PHONY: catalogue
catalogue: ## write suites/CATALOGUE.md, FAULTS.md and CONDITIONS.md from the code
	go test ./suites -run '^Test(Catalogue|FaultsPage|ConditionsPage)IsCurrent$$' -args -update-catalogue -update-faults -update-conditions

.PHONY: lint
lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l fixtures helpers reports suites); test -z "$$unformatted" || { echo "not gofmt-clean: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags conformance ./suites/sharedpid
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

.PHONY: clean
clean: bin ## delete the clusters, files and reports that runs left
	bin/sharedpid clean
	rm -rf bin reports/out

.PHONY: bin
bin: # -buildvcs stamps the version, whatever GOFLAGS says
	@CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags="-s -w" -o bin/ ./suites/sharedpid
