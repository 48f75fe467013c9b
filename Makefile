# Every command a person types. `make help` lists them.
PROFILE ?= article
N ?= 5
FAULT ?= all
CONDITION ?= standing
# More flags for the run, see bin/sharedpid run --help.
ARGS ?=
# OCI runtimes to check the traits under, such as runc,crun,runsc; the nodes' own by default.
RUNTIMES ?=
# Versions of what is in the nodes, each the newest known one by default: an image with them is then built and taken.
KUBERNETES ?=
CONTAINERD ?=
RUNC ?=
# What the kubelet speaks to: containerd, which is the default, or cri-dockerd.
CRI ?=
comma := ,
RUNTIME_FLAGS = $(foreach runtime,$(subst $(comma), ,$(RUNTIMES)),--runtime=$(runtime))
NODE_FLAGS = $(if $(KUBERNETES),--kubernetes=$(KUBERNETES)) $(if $(CONTAINERD),--containerd=$(CONTAINERD)) $(if $(RUNC),--runc=$(RUNC)) \
	$(if $(CRI),--cri=$(CRI))
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
runtimes: ## check profile core under runc, crun and gVisor side by side on one cluster (PROFILE=full, RUNTIMES=, KEEP=1)
	$(MAKE) e2e PROFILE=$(if $(filter command environment,$(origin PROFILE)),$(PROFILE),core) RUNTIMES=$(or $(RUNTIMES),runc$(comma)crun$(comma)runsc) REPORT_DIR=$(or $(REPORT_DIR),reports/out/runtimes) \
		ARGS="--known-deviations=fixtures/runtimes/deviations.yaml $(ARGS)"

.PHONY: findings
findings: bin ## write fixtures/runtimes/FINDINGS.md from the reports of make runtimes PROFILE=full
	bin/sharedpid findings $(or $(REPORT_DIR),reports/out/runtimes)/run.json > fixtures/runtimes/FINDINGS.md.new
	mv fixtures/runtimes/FINDINGS.md.new fixtures/runtimes/FINDINGS.md

.PHONY: results
results: bin ## check profile core under runc, crun and gVisor, a run and a cluster for each, and publish the results (RUNTIMES=, ARGS=)
	@for runtime in $(subst $(comma), ,$(or $(RUNTIMES),runc$(comma)crun$(comma)runsc)); do \
		implementation=fixtures/runtimes/implementations/$$runtime.yaml; \
		bin/sharedpid setup --runtime=$$runtime $(NODE_FLAGS) $(SETUP_ARGS) && \
		bin/sharedpid run --profile=core --runtime=$$runtime $(NODE_FLAGS) --implementation=$$implementation \
			--known-deviations=fixtures/runtimes/deviations.yaml --report-dir=reports/out/results/$$runtime $(ARGS) || [ $$? = 1 ] && \
		bin/sharedpid publish reports/out/results/$$runtime || exit $$?; done
	bin/sharedpid verify

.PHONY: results-page
results-page: bin ## write results/RESULTS.md from the published results
	bin/sharedpid publish --page

# The race detector needs a C compiler.
RACE := $(if $(shell command -v gcc),-race)

.PHONY: test
test: ## run the project's own tests; no cluster is needed
	go test $(RACE) ./...

.PHONY: recordings
recordings: ## keep what make faults, make e2e PROFILE=full and make upgrade looked at, whichever ran, as the recordings that unit tests judge
	go test ./suites -run '^TestRecorded' -args \
		$(addprefix -record-faults=,$(wildcard $(CURDIR)/reports/out/faults/run.json)) \
		$(addprefix -record-healthy=,$(wildcard $(CURDIR)/reports/out/conformance/run.json)) \
		$(addprefix -record-upgrade=,$(wildcard $(CURDIR)/reports/out/upgrade/during/run.json)) \
		-record-elsewhere=$(CURDIR)/reports/out

.PHONY: mutants
mutants: ## prove that the tests bite: each deliberate defect of the suite must fail one
	go run ./helpers/mutants

.PHONY: faults
faults: bin ## prove that the suite bites: every faulty runtime turns exactly the traits that it breaks (FAULT=all)
	@bin/sharedpid setup $(NODE_FLAGS) $(SETUP_ARGS)
	bin/sharedpid faults $(NODE_FLAGS) --fault=$(FAULT) $(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

.PHONY: conditions
conditions: bin ## prove that the suite accuses nobody wrongly: policies, missing rights, taints and the like (CONDITION=NAME, all)
	@bin/sharedpid setup $(NODE_FLAGS) $(SETUP_ARGS)
	bin/sharedpid conditions $(NODE_FLAGS) --condition=$(CONDITION) $(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

.PHONY: chaos
chaos: ## hostile containers and failing surroundings, then 100 interrupted runs, then soak: hours
	$(MAKE) conditions CONDITION=chaos REPORT_DIR=$(or $(REPORT_DIR),reports/out/chaos)
	$(MAKE) interruptions
	$(MAKE) soak N=100 FULL=20

.PHONY: machine
machine: bin ## check profile core in an emulated virtual machine, where AppArmor confines the containers (PROFILE=, ARGS=); as root
	@bin/sharedpid setup --node-image=local
	bin/sharedpid machine $(if $(filter command environment,$(origin PROFILE)),--profile=$(PROFILE)) \
		$(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

# Directories of runs that the page about the matrix tells of beside those of make matrix, such as reports/out/machine.
RUNS ?=

.PHONY: matrix
matrix: bin ## check profile core under one combination of versions after another (KUBERNETES=, CONTAINERD=, RUNC=, each may be all)
	bin/sharedpid matrix $(NODE_FLAGS) $(RUNTIME_FLAGS) $(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

.PHONY: matrix-page
matrix-page: bin ## write suites/MATRIX.md from the reports of make matrix, and of other runs (RUNS=)
	bin/sharedpid matrix $(or $(REPORT_DIR),reports/out/matrix)/*/ $(RUNS) > suites/MATRIX.md.new
	mv suites/MATRIX.md.new suites/MATRIX.md

.PHONY: upgrade
upgrade: bin ## check profile core on two nodes of two versions, upgrade the older one under its Pods, check again, compare (ARGS=)
	bin/sharedpid upgrade $(NODE_FLAGS) $(if $(filter command environment,$(origin PROFILE)),--profile=$(PROFILE)) \
		$(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

.PHONY: registry
registry: bin ## prove the way of machines that reach a registry, with one on this machine: images pulled, profile full; podman
	@bin/sharedpid setup --node-image=local --engine=podman
	go test -tags registry ./suites/sharedpid -run '^TestRegistry$$' -count=1 -timeout 30m -v

.PHONY: job
job: bin ## prove that runs inside of a kind cluster, as a Job and as a Sonobuoy plugin, come to the verdicts of one from outside (KEEP=1); podman
	@bin/sharedpid setup --node-image=local --engine=podman
	KEEP=$(KEEP) go test -tags inside ./suites/sharedpid -run '^TestInside$$' -count=1 -timeout 60m -v

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
soak: bin ## N runs of profile core and FULL of full on one kept cluster: what is left on the node after each, and whether all agree (N=20 FULL=5)
	@$(SETUP)
	go run ./helpers/soak --core=$(if $(filter command environment,$(origin N)),$(N),20) --full=$(or $(FULL),0) $(if $(REPORT_DIR),--report-dir=$(REPORT_DIR)) $(ARGS)

# What the simulated clusters of make scale run beside the command.
SCALE_KUBERNETES := $(lastword $(sort $(notdir $(wildcard fixtures/node/modules/kubernetes/*))))

.PHONY: scale
scale: bin ## measure runs on simulated clusters of 50, 500 and 5,000 nodes: memory, requests, time, size of the reports (ARGS=--nodes=50,500)
	cd fixtures/node/modules/kubernetes/$(SCALE_KUBERNETES) && CGO_ENABLED=0 go build -trimpath -o $(CURDIR)/bin/scale/kube-apiserver \
		-ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$(SCALE_KUBERNETES)" k8s.io/kubernetes/cmd/kube-apiserver
	cd fixtures/node/modules/etcd && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o $(CURDIR)/bin/scale/etcd go.etcd.io/etcd/server/v3
	go run ./helpers/scale $(ARGS)

.PHONY: interruptions
interruptions: bin ## prove that a run which is ended at any moment leaves nothing, and whole reports (ARGS=--times=100)
	go run ./helpers/interruptions $(ARGS)

.PHONY: diff
diff: bin ## what changed between two runs; fails when something got worse (OLD=a/run.json NEW=b/run.json, MARKDOWN=1)
	@bin/sharedpid diff $(if $(MARKDOWN),--markdown) $(if $(OLD),"$(OLD)") $(if $(NEW),"$(NEW)")

.PHONY: catalogue
catalogue: ## write suites/CATALOGUE.md, FAULTS.md, CONDITIONS.md and the list of the version's traits from the code
	go test ./suites -run '^Test((Catalogue|FaultsPage|ConditionsPage)IsCurrent|TraitsAreThoseOfTheRelease)$$' -args \
		-update-catalogue -update-faults -update-conditions -update-release

.PHONY: release
release: programs ## make the files of a release of the commit that is checked out, in bin/release
	go run ./helpers/release/command

.PHONY: release-twice
release-twice: ## prove that a release is reproducible: two clones of the commit give the same bytes
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && for clone in one another/place; do \
		git clone -q . "$$folder/$$clone" && $(MAKE) -C "$$folder/$$clone" release || exit 1; done && \
	diff -r "$$folder/one/bin/release" "$$folder/another/place/bin/release" && cat "$$folder"/one/bin/release/*/SHA256SUMS && echo "the same bytes twice"

.PHONY: lint
lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l fixtures helpers reports suites); test -z "$$unformatted" || { echo "not gofmt-clean: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags conformance,registry,inside ./suites/sharedpid
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

.PHONY: clean
clean: bin ## delete the clusters, files and reports that runs left
	bin/sharedpid clean
	rm -rf bin reports/out helpers/systemcalls/built/*

.PHONY: programs
programs: # what the binary carries into containers
	@go run ./helpers/systemcalls/command

.PHONY: bin
bin: programs # -buildvcs stamps the version, whatever GOFLAGS says
	@CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags="-s -w" -o bin/ ./suites/sharedpid
