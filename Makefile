# make repro   from nothing to every table        make test   prove that the code is right        make help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install try check repro report report-folder stages pipelines estimate docs docs-serve hooks verify prove-equal \
  weights verify-fidelity pages bench kit kit-import kit-rehearsal test test-docs test-kernels test-outside \
  test-resume notebooks readme lock clean abuse soak audit
.DELETE_ON_ERROR:

# where the shell has an environment activated, what it was made of
override IS_RIGHT := import sys; (3, 11) <= sys.version_info[:2] <= (3, 12) and print(sys._base_executable)
override FOUND = $(firstword $(shell for p in python3.12 python3.11 python3; do "$$p" -c '$(IS_RIGHT)' 2>/dev/null || true; done))
export NEED_GB := 8
override RUN := export VIRTUAL_ENV="$$PWD/.venv" PATH="$$PWD/.venv/bin:$$PATH" && \
  unset PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONPATH GWI_ROOT GWI_PARAMS GWI_COMMIT &&

# What is given to make is data: it goes into the environment as it stands, neither make nor the shell looks into it,
# and a recipe quotes it. NAME, SPLITS and what goes with ENGINE count only on the command line, for the environment
# may have a NAME, or GPUS.
# `override`: these are ours, and not to be given.
override given = $(filter command,$(firstword $(origin $(1))))
override name := $(if $(call given,NAME),$${NAME:+"--name=$$NAME"})
override splits := $(if $(call given,SPLITS),"--splits=$$SPLITS")
override engine := $(if $(call given,ENGINE),$${ENGINE:+"--engine=$$ENGINE"}) \
  $(if $(call given,ADDRESS),$${ADDRESS:+"--address=$$ADDRESS"}) \
  $(if $(call given,CPUS),$${CPUS:+"--cpus=$$CPUS"}) $(if $(call given,GPUS),$${GPUS:+"--gpus=$$GPUS"})
$(foreach v,$(.VARIABLES),$(if $(call given,$v),$(eval override export $v := $$(value $v))))
override profile := $${PROFILE:+"--profile=$$PROFILE"}
override part := $${PART:+"--part=$$PART"}
override jobs := $${JOBS:+"--jobs=$$JOBS"}
override minutes := $${MINUTES:+"--minutes=$$MINUTES"}
override data := $${DATA:+"--data=$$DATA"}
override local := env $${DATA:+"GWI_DATA=$$DATA"}

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24
	@echo "  PROFILE=$$(ls profiles/*.yaml | sed 's/.*\///; s/\.yaml//' | paste -sd'|' -)"
	@echo "          (none: params.yaml as it is, at first small)"
	@echo "  PART=name one part of a profile of several studies   JOBS=n stages at a time"
	@echo "  MINUTES=m stop after m minutes; the same command goes on"
	@echo "  repro: ENGINE=ray ADDRESS=host:port on the nodes of a Ray cluster   CPUS=n, GPUS=n, GPUS=0.5 of each task there"
	@echo "  verify: MINUTES=m compute anew for m minutes; SEED=2026-11-29 that day's sample (it is drawn by the date)"
	@echo "  repro, verify, prove-equal: DATA=folder of data sets that you have (or one of them); looked at first"
	@echo "  kit: PROFILE=cifar10-exact-gpu, DATA=archive where the images lie, THERE=3.12 the Python of that machine;"
	@echo "    there: bash kit/run.sh MINUTES=9 OUT=folder [EARLIER=rows.tar.gz]; back here: make kit-import FROM=folder"
	@echo "  report-folder: DATA holds <class>/* or train/<class>/*, test/<class>/*, or what SPLITS=TRAIN,TEST names"
	@echo "  try: METHOD=gwi [SEEDS=5] [MINUTES=4] [DATA=folder of class folders, or .npz] [PROFILE=whose settings]"
	@echo "  prove-equal: FROM=commit   DRY=1 write nothing   ONLY='train small/'"
	@echo "  verify-fidelity: WEIGHTS=file the authors' ResNeXt-29   DATA, DATA_C=folder CIFAR-10, CIFAR-10-C"
	@echo "  by DVC itself: dvc repro, dvc repro profiles/cifar10-cpu/dvc.yaml"

install: .venv/installed  ## make .venv with the hash-locked dependencies and this package

.venv/installed: export PYTHON ?= $(FOUND)
.venv/installed: requirements.lock setup.py pyproject.toml settings.ini
	@test -n "$$PYTHON" || { echo "missing: Python 3.11 or 3.12 (found: $$(python3 --version 2>&1 || echo none));" \
	  "install one, or say make PYTHON=/path/to/python"; exit 1; }
	@free=$$(df -Pk . | awk 'NR==2 {print int($$4/1048576)}'); test -d .venv || test $$free -ge "$$NEED_GB" || { \
	  echo "missing: disk space ($$free GB free here, $$NEED_GB GB needed for the dependencies)"; exit 1; }
	@"$$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "missing: the venv module of $$PYTHON (Debian: apt install python3-venv)"; exit 1; }
	@test -x .venv/bin/python || "$$PYTHON" -m venv .venv
	@test -x .venv/bin/uv || .venv/bin/python -m pip install -q --disable-pip-version-check uv
	@echo "installing the dependencies (about 5 GB, minutes)"
	@.venv/bin/uv pip install -q --python .venv/bin/python --require-hashes --compile-bytecode -r requirements.lock
	@.venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch $@

repro: install  ## run the pipeline in the root, or that of PROFILE, and compare its rows with the committed ones
	@$(RUN) $(local) python -m gwi.pipeline repro $(profile) $(part) $(jobs) $(minutes) $(engine)

report: install  ## tables, figures, report.html of the rows that are there (unfinished: a draft in .cache/draft)
	@$(RUN) python -m gwi.pipeline report $(profile)

report-folder: install  ## a folder of images in (DATA=folder [NAME=name]), a robustness report out
	@$(RUN) python -m gwi.pipeline report-folder $(data) $(name) $(splits) $(jobs) $(minutes)

try: install  ## an idea on the screen in minutes: METHOD beside standard and its controls, from nothing
	@$(RUN) python -m gwi.pipeline try $${METHOD:+"$$METHOD"} $(profile) $(part) $${SEEDS:+"--seeds=$$SEEDS"} $(data) \
	  $(jobs) $(minutes)

estimate: install  ## how long the profile will take here, stage by stage (measures a few steps of each kind)
	@$(RUN) python -m gwi.tools.estimate $(profile) $(part) $(jobs)

stages: install  ## list every stage of the profile, part by part, without running any
	@$(RUN) python -m gwi.pipeline stages $(profile)

pipelines: install  ## make settings in full and pipelines of the profiles, or of PROFILE, anew: after a change in profiles/ or dvc.yaml
	@$(RUN) python -m gwi.pipeline pipelines $(profile)

verify: install  ## name every row, figure and table that was changed, and compute a sample of the rows anew here
	@$(RUN) $(local) python -m gwi.tools.verify $(minutes) $(if $(SEED),--seed "$(SEED)")

prove-equal: install  ## show that changed code gives the results of before, byte by byte, and write it into the ledger
	@$(RUN) $(local) python -m gwi.tools.prove $${FROM:+"--from=$$FROM"} $${DRY:+--dry} $${ONLY:+"--only=$$ONLY"}

weights: install  ## publish the weights of the core methods' first seed, with a card, in results/PROFILE/weights
	@$(RUN) python -m gwi.tools.verify "--publish=$${PROFILE:-cifar10-cpu}"

verify-fidelity: install  ## what we compute against published constants, models and other libraries
	@$(RUN) python -m gwi.tools.fidelity $${WEIGHTS:+"--weights=$$WEIGHTS"} $(data) \
	  $${DATA_C:+"--data-c=$$DATA_C"}

# tables and figures of a profile: make report PROFILE=...
pages: install  ## after new rows: results/support.md and the pages that quote rows
	@$(RUN) python -c 'from gwi.report.tables import read_rows, write_support; \
	  write_support(read_rows("results"), "results/support.md", "results")'
	@$(RUN) python tests/execute.py nbs/index.ipynb nbs/tutorials/{what_we_learned,reproduce}.ipynb && \
	  nbdev_clean && python tests/readme.py

bench: install  ## measure speed: rows, table and figure in results/bench (about ten minutes on two cores)
	@$(RUN) python -m gwi.tools.bench

kit: install  ## pack a study into kit/ for a machine with a GPU and without a network
	@$(RUN) python -m gwi.pipeline.kit pack $(profile) $(part) $(data) $${THERE:+"--python=$$THERE"}

kit-import: install  ## check the rows that came back from a kit (FROM=folder) and take the complete seeds in
	@$(RUN) python -m gwi.pipeline.kit import $(profile) $(part) $${METHODS:+"--methods=$$METHODS"} \
	  $${FROM:+-- "$$FROM"}

kit-rehearsal: install  ## pack, run, go on and take in a tiny grid on the CPU, without notebook tools (a minute)
	@$(RUN) python -m gwi.pipeline.kit rehearse --out .cache/kit-rehearsal

test: install  ## nbdev_test, the tiny profile from nothing, notebooks, package and pipelines in step, a rehearsed kit
	@$(RUN) python tests/check.py

check: install  ## a minute: changed notebooks and those that import them, all in step, the rules of the house
	@$(RUN) python tests/quick.py

test-resume: install  ## kill training 20 times at random moments, compare the weights with an uninterrupted run's
	@$(RUN) python tests/resume.py

test-outside: install  ## every tutorial outside any clone, with the package from its wheel (five minutes)
	@$(RUN) python tests/outside.py

test-kernels: install  ## translate the GPU kernels with the lock file's Triton and with the oldest (fetches 200 MB)
	@$(RUN) python tests/kernels.py

notebooks: install  ## execute all notebooks and save their outputs (after changing code)
	@$(RUN) python tests/execute.py && nbdev_clean && nbdev_export

docs: install  ## the docs site in _docs, from saved notebooks and committed rows (EXECUTE=1: executed first)
	@test -z "$${EXECUTE:-}" || $(MAKE) --no-print-directory notebooks
	@$(RUN) python -m gwi.tools.site

docs-serve: install  ## show the site at localhost:8000
	@test -f _docs/index.html || $(MAKE) --no-print-directory docs
	@$(RUN) python -m http.server --directory _docs --bind 127.0.0.1 8000

test-docs: docs  ## every page of the site in a headless Chromium (Debian: apt install chromium)
	@$(RUN) python tests/docs.py

hooks: install  ## nbdev's git hooks for those who change notebooks: clean copies, conflicts that can be opened
	@$(RUN) nbdev_install_hooks

readme: install  ## README.md from nbs/index.ipynb
	@$(RUN) python tests/readme.py

lock: install  ## compile requirements.lock anew from settings.ini; what is locked stays, where it can
	@.venv/bin/uv pip compile -q setup.py --extra dev --generate-hashes --universal --python-version 3.11 \
	  --no-emit-index-url --no-header -o requirements.lock

clean:  ## delete what can be made again: environment, caches, images and weights of the profiles
	@rm -rf .venv .cache .dvc/cache .dvc/tmp data/small
	@for file in profiles/*.yaml; do rm -rf "data/$$(basename "$$file" .yaml)"; done
	@for folder in data/*/; do if test -d "$$folder"; then echo "kept: $$folder (downloads, or not made here)"; fi; done

abuse: install  ## bad input of every kind, all of it, with a table: kind, cases, wrong (minutes)
	@$(RUN) python -m tests.abuse

soak: install  ## cifar10-cpu at a tenth, killed and continued until done: the rows of an undisturbed run (hours; FEW=1: small)
	@$(RUN) python -m tests.abuse soak $${FEW:+--few}

audit: install  ## what PyPI knows of weaknesses in the locked dependencies; pip-audit runs in an environment of its own
	@$(RUN) python tests/audit.py

.DEFAULT:
	@$(info no target '$@'; make help lists them) exit 2
