# Everything works from a fresh clone: each target first installs what it needs into .venv.
#
#   make install   make test   make lint   make run   make serve   make tls   make bench   make docs   make site   make constraints   make locks   make wheelhouse

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV   ?= .venv
EXTRAS ?= train,nano,serve-cpu,asia,deepfilternet,mos,dev
STAMP  := $(VENV)/.installed
SITE_STAMP := $(VENV)/.site-installed
BIN    := $(VENV)/bin

# One thread a library: with two cores, pools that fight each other are slower than no pools.
export OMP_NUM_THREADS ?= 1

.PHONY: install test test-deps image lint run serve tls bench docs site constraints locks advisories wheelhouse nano

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make install PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

# The whole suite, slow tests too. PYTEST_FLAGS='-m "not slow"' leaves those out, PYTEST_FLAGS='-n 2' uses two processes.
test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

# Debian packages that tests use: browser, nginx, Prometheus, groovy, buildah, ... Needs root or sudo.
test-deps:
	ci/test_deps.sh

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	mkdir -p .typing && ln -sfn .. .typing/timbre
	$(BIN)/mypy -p timbre
	$(BIN)/mypy benchmarks
	$(BIN)/hadolint Dockerfile

# A voice through all five stages, its gates, a version in the local registry, and a sentence in out/VOICE.wav.
# make run VOICE=kathleen TEXT="Good morning."
# Containers set CI to keep programs quiet: only where a registry is named, it decides about publishing.
VOICE ?= awb
run: $(STAMP)
	$(if $(TIMBRE_REGISTRY),,env -u CI) $(BIN)/python -m timbre.cli.sample_run $(VOICE) $(if $(TEXT),--text "$(TEXT)")

serve: $(STAMP)
	$(BIN)/timbre serve

# The same over TLS, behind nginx: make tls NAME=voices.example.com, as root for the ports 80 and 443.
NAME ?= localhost
HTTPS_PORT ?= 443
HTTP_PORT ?= 80
tls: $(STAMP)
	deploy/host/serve_tls.sh $(NAME) $(HTTPS_PORT) $(HTTP_PORT)

# make bench BENCH=startup; without BENCH all of them, one after the other.
BENCH ?= $(basename $(notdir $(shell grep -l '__name__ == "__main__"' benchmarks/*.py)))
bench: $(STAMP)
	set -e; for name in $(BENCH); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done

docs: $(STAMP)
	cp ci/gitlab/voices.yml templates/voices.yml
	$(BIN)/python -m timbre.cli.settings_table docs/settings.md
	$(BIN)/python -m timbre.cli.server_settings_table docs/server.md

# The documentation site in site/; a dead link or a page outside the navigation fails the build.
SITE ?= site
site: $(SITE_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(SITE)

$(SITE_STAMP): constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'mkdocs-material>=9.5'
	touch $@

# Train bases/nano from the speech beside the checkout: takes hours, skips what is done.
SPEECH ?= $(TIMBRE_SPEECH)
nano: $(STAMP)
	$(BIN)/timbre pretrain all --speech $(SPEECH)

# Build, test, scan, sign and push one image: make image TARGET=serve PLATFORMS=linux/amd64 IMAGE=registry.example.com/timbre PUSH=false
TARGET ?= serve
PLATFORMS ?= linux/amd64
image:
	ci/image.sh $(TARGET) $(PLATFORMS)

# Wheels for an image that is built without a network: make wheelhouse TARGET=serve WHEELHOUSE=wheels, on a machine with the
# image's Python and architecture. Packages without a wheel are built here; files with other hashes are refused.
WHEELHOUSE ?= wheelhouse
wheelhouse: $(STAMP)
	$(BIN)/python -m pip wheel --quiet --require-hashes -w $(WHEELHOUSE) -r docker/$(TARGET).lock
	$(BIN)/python -m pip wheel --quiet --require-hashes -w $(WHEELHOUSE) -r docker/build.lock

# After a deliberate upgrade: pin what is installed now.
constraints: $(STAMP)
	$(BIN)/python -m timbre.cli.pins constraints.txt

# Then the hashes of what the images hold.
locks: $(STAMP)
	ci/locks.sh $(BIN)

# Known vulnerabilities of what the images hold. Needs a network.
advisories: $(STAMP)
	ci/advisories.sh $(BIN)
