# For developers. `uv` writes the locks: any machine where it is installed will do.
UV ?= $(firstword $(wildcard .venv/bin/uv) uv)
# no pip configuration of this machine, no address: only names, versions and hashes of wheels get into a lock
COMPILE = env -u PIP_FIND_LINKS $(UV) pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --only-binary :all: --no-emit-index-url --no-header --no-annotate

.PHONY: bench lock upgrade test

lock:  ## after a change of pyproject.toml: versions already locked stay
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --group dev --constraints requirements.lock --output-file requirements-dev.lock

upgrade:  ## newest versions of everything
	rm -f requirements.lock requirements-dev.lock
	$(MAKE) lock

test:
	python3 manage.py test

bench:  ## make bench ARGS="disk-copy --rounds 3"
	python3 manage.py bench $(ARGS)
